"""What kind of task file lies there, and which of its columns hold what: found out, to be shown and corrected."""

import csv
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bertkit import storage
from bertkit.data.tables import fasttext
from bertkit.data.tables.json_lines import ONE_A_LINE, first_objects, is_list
from bertkit.data.tables.lines import Encoding, Lines, without_line_end
from bertkit.errors import DataError

FORMATS = (
    "csv",
    "tsv",
    "jsonl",
    "parquet",
    "fasttext",
    "conll",
    "tagged_jsonl",
    "tagged_parquet",
    "squad",
    "span_jsonl",
    "span_parquet",
)

_ENDINGS = {
    ".csv": "csv",
    ".conll": "conll",
    ".conllu": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".bmes": "conll",
    ".bioes": "conll",
    ".gz": "conll",
}
_TABLES = {".csv", ".tsv", ".json", ".jsonl"}
_TAG = re.compile(r"O|[BIESMLU]-\S+")
_LOOKED_AT = 200
_OF_ENTITIES = ("entities", "spans", "label", "labels")
_ZIP = b"PK\x03\x04"
_KINDS = dict.fromkeys(("conll", "tagged_jsonl", "tagged_parquet"), "tagging")
_KINDS |= dict.fromkeys(("squad", "span_jsonl", "span_parquet"), "spans")

# What others call these columns; the first that is there is taken.
_NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        *("text", "sentence1", "text_a", "question1", "premise", "question", "sentence", "review", "content"),
        *(
            "comment",
            "comment_text",
            "tweet",
            "document",
            "body",
            "message",
            "utterance",
            "description",
            "headline",
            "title",
        ),
    ),
    "text_pair": ("text_pair", "sentence2", "text_b", "question2", "hypothesis", "sentence"),
    "label": (
        *("label", "labels", "gold_label", "score", "class", "category", "target", "stars", "rating", "topic"),
        *("sentiment", "emotion", "intent", "polarity", "is_duplicate", "similarity_score", "relatedness_score"),
    ),
}


def kind_of_format(format: str) -> str:
    """The kind of task that files of a format hold."""
    return _KINDS.get(format, "classification")


def guess_source(path: Path, given: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The source of a task_data config that reads the file; what was found out on the way goes to `found`."""
    format = given.pop("format", None) or detect_format(path)
    found["format"] = format
    columns = given.pop("columns", {})
    if format in ("csv", "tsv", "jsonl", "parquet"):
        if given.get("header", True):
            reading = {name: given[name] for name in ("delimiter", "encoding") if name in given}
            names = column_names(path, format, **reading)
            found["columns"] = names
            columns = guess_columns(names, columns)
        found["read_as"] = columns
    elif format in ("tagged_jsonl", "tagged_parquet") and not columns:
        names = column_names(path, format.removeprefix("tagged_"))
        entities = guess_entities(_telling_object(path)) if format == "tagged_jsonl" else {}
        # Prodigy's files have both: their tokens have no tags.
        columns = guess_tokens(names) or entities
        found["columns"], found["read_as"] = names, columns
    elif path.suffix.lower() == ".conllu":
        given, columns = {"comments": True, **given}, columns or {"token": 2, "tag": 4}
        found["read_as"] = columns
    return {**given, "format": format, "train": str(path), **({"columns": columns} if columns else {})}


def detect_format(path: Path) -> str:
    """The format of a file, one of `FORMATS`, by its ending and its first lines.

    Raises:
        DataError: it cannot be told, or the file cannot be read.
    """
    endings = [ending.lower() for ending in path.suffixes]
    if endings[-1:] == [".gz"] and _TABLES & set(endings):
        raise DataError(
            "is compressed, which only CoNLL files may be", where=str(path), remedy="Unpack it: gunzip -k FILE."
        )
    if found := _ENDINGS.get(path.suffix.lower()):
        return found
    with storage.reporting_os_errors(path, "read"), path.open("rb") as file:
        begin = file.read(4)
    if begin == _ZIP:
        remedy = "Unpack it; a spreadsheet is saved as CSV, encoded as UTF-8."
        raise DataError("is a zip archive or a spreadsheet", where=str(path), remedy=remedy)
    if begin == b"PAR1" or path.suffix.lower() == ".parquet":
        return _of_columns(_parquet_columns(path), "parquet")
    lines = [without_line_end(line) for line in islice(Lines(path), _LOOKED_AT)]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise DataError("is empty", where=str(path))
    if filled[0].lstrip().startswith(("{", "[")):
        return _json_format(path, filled[0])
    if filled[0].startswith(fasttext.PREFIX):
        return "fasttext"
    tokens = [line.split() for line in filled if not line.startswith("#")]
    if len(filled) < len(lines) and all(_TAG.fullmatch(cells[-1]) for cells in tokens if len(cells) > 1):
        return "conll"
    if path.suffix.lower() == ".tsv" or (len({line.count("\t") for line in filled}) == 1 and "\t" in filled[0]):
        return "tsv"
    raise DataError(
        "does not say what kind of file it is", where=str(path), remedy=f"Add format=NAME: {', '.join(FORMATS)}."
    )


def _json_format(path: Path, line: str) -> str:
    """Lines or a list of objects, of texts, tagged tokens or questions, or else one document over many lines.

    Raises:
        DataError: its lines are lists.
    """
    if line.lstrip().startswith("[") and not is_list(path):
        raise DataError("holds lists, not objects", where=str(path), remedy=ONE_A_LINE)
    first = _telling_object(path)
    if not first and path.suffix.lower() == ".jsonl":
        return "jsonl"
    if not first or isinstance(first.get("data"), list):
        return "squad"
    parts_of_squad = any(isinstance(first.get(name), list) for name in ("paragraphs", "qas"))
    if parts_of_squad and not {"text", "label"} <= guess_columns(list(first), {}).keys():
        return "squad"
    if isinstance(first.get("data"), dict) and isinstance(first.get("annotations"), list):
        remedy = "Export it as JSON-MIN, which has the text and its labels side by side."
        raise DataError("is Label Studio's full export", where=str(path), remedy=remedy)
    return "tagged_jsonl" if guess_entities(first) else _of_columns(list(first), "jsonl")


def _of_columns(names: Sequence[str], table: str) -> str:
    """What a table holds, by its columns."""
    if {"question", "context", "answers"} <= set(names):
        return f"span_{table}"
    return f"tagged_{table}" if "tokens" in names or guess_tokens(names) else table


def column_names(path: Path, format: str, *, delimiter: str | None = None, encoding: Encoding = "utf-8") -> list[str]:
    """The names of a table's columns: those of its first record.

    Raises:
        DataError: the file has none, or cannot be read.
    """
    if format == "parquet":
        return _parquet_columns(path)
    line = next((text for text in map(without_line_end, Lines(path, encoding)) if text.strip()), None)
    if line is None:
        raise DataError("is empty", where=str(path))
    if format == "jsonl":
        return list(next(iter(first_objects(path)), {}))
    if format == "csv":
        try:
            return next(csv.reader([line], delimiter=delimiter or ","))
        except csv.Error as e:
            remedy = "Lines end with a line feed, and carriage returns stand before one or within quotes."
            raise DataError(f"the header cannot be read: {e}", where=f"{path}:1", remedy=remedy) from None
    return line.split(delimiter or "\t")


def guess_columns(names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of text, second text and label among `names`; those in `given` stay as they are.

    A second text is looked for only where the text's own name was not given.
    """
    by_lower = {name.lower(): name for name in reversed(names)}
    roles = dict(given)
    for role, known in _NAMES.items():
        if role in given or (role == "label" and "labels" in given) or (role == "text_pair" and "text" in given):
            continue
        taken = set(map(str, roles.values()))
        free = [by_lower[name] for name in known if name in by_lower and by_lower[name] not in taken]
        if free:
            roles[role] = free[0]
    return roles


def guess_tokens(names: Sequence[str]) -> dict[str, str]:
    """The columns of `tokens` and `tags` among `names`; none where either is missing."""
    known = {
        "tokens": ("tokens", "words"),
        "tags": ("tags", "ner_tags", "ner", "bio_tags", "labels", "pos_tags", "upos"),
    }
    found = {role: next((name for name in own if name in names), None) for role, own in known.items()}
    return {role: name for role, name in found.items() if name} if all(found.values()) else {}


def _telling_object(path: Path) -> dict[str, Any]:
    """The first object of a file that says what its labels are: a text without entities may come first. Else the first."""
    found = first_objects(path, _LOOKED_AT)
    told = (one for one in found if not any(one.get(name) == [] for name in _OF_ENTITIES))
    return next(told, found[0] if found else {})


def guess_entities(record: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a text and its entities by their places, see `tagging/places.py`; none where it has not both."""
    name = next((name for name in _OF_ENTITIES if _are_entities(name, record.get(name))), "")
    return {"text": "text", "label": name} if name and isinstance(record.get("text"), str) else {}


def _are_entities(name: str, value: Any) -> bool:
    match value:
        case dict():
            return name == "label"
        case []:
            return name in ("entities", "spans")
        case [[int(), int(), str()], *_]:
            return True
        case [dict() as first, *_]:
            return bool({"start", "start_offset"} & set(first))
    return False


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            names: list[str] = pq.read_schema(file).names
    except (pa.ArrowException, OSError) as e:
        what = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise DataError(f"cannot be read as parquet: {what}", where=str(path)) from None
    return names
