"""Plain text and JSON lines to raw documents."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from bertkit.data.sources.files import names, read_lines
from bertkit.data.sources.raw import NULL, OnBadUtf8, RawDocument, Tally, well_formed
from bertkit.errors import DataError, did_you_mean

OneDocumentA = Literal["file", "blank_line"]


def read_text(
    files: Sequence[Path],
    *,
    tally: Tally,
    one_document_a: OneDocumentA = "blank_line",
    wrapped_lines: bool = False,
    on_bad_utf8: OnBadUtf8 = "stop",
) -> Iterator[RawDocument]:
    """Documents of plain UTF-8 text: each file is one, or blank lines stand between them.

    Args:
        wrapped_lines: lines are broken at a width, so that only a blank line ends a paragraph; otherwise each line is
            a paragraph.
    """
    for path, name in zip(files, names(files), strict=True):
        lines = read_lines(path, on_bad_utf8=on_bad_utf8, tally=tally)
        if one_document_a == "file":
            texts = [text.replace("\r", "\n") for _, text in lines]
            yield RawDocument(name, _join(texts, wrapped=wrapped_lines), str(path))
        else:
            for number, block in _blocks(lines):
                yield RawDocument(f"{name}:{number}", _join(block, wrapped=wrapped_lines), f"{path}:{number}")


def _blocks(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that are not blank, each with the number of its first line."""
    block: list[str] = []
    first = 0
    for number, line in lines:
        # A lone carriage return ends a line as well; such a file looks like one long line up to here.
        for part in line.split("\r"):
            if part and not part.isspace():
                first = first if block else number
                block.append(part)
            elif block:
                yield first, block
                block = []
    if block:
        yield first, block


def _join(lines: list[str], *, wrapped: bool) -> str:
    if not wrapped:
        return "\n".join(lines)
    paragraphs: list[list[str]] = [[]]
    for line in "\n".join(lines).split("\n"):
        if line.strip():
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    return "\n".join(" ".join(paragraph) for paragraph in paragraphs)


def read_jsonl(
    files: Sequence[Path], *, tally: Tally, field: str = "text", on_bad_utf8: OnBadUtf8 = "stop"
) -> Iterator[RawDocument]:
    """Documents of JSON lines: `field` of each object is one; null is counted as dropped.

    Raises:
        DataError: a line that is not a JSON object, lacks the field, or holds something else than text in it.
    """
    for path, name in zip(files, names(files), strict=True):
        for number, line in read_lines(path, on_bad_utf8=on_bad_utf8, tally=tally):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            value = _field(line, field, where)
            if value is None:
                tally.drop(NULL)
                continue
            text = well_formed(value, where=where, on_bad_utf8=on_bad_utf8, tally=tally)
            yield RawDocument(f"{name}:{number}", text, where)


def _field(line: str, field: str, where: str) -> str | None:
    try:
        row: Any = json.loads(line)
    except RecursionError:
        raise DataError("not JSON that can be read: nested too deeply", where=where) from None
    except ValueError as e:
        raise DataError(f"not JSON: {e}", where=where, remedy="Each line must hold one JSON object.") from None
    if not isinstance(row, dict):
        raise DataError(f"not a JSON object but {_show(row)}", where=where, remedy="Each line must hold one object.")
    if field not in row:
        guess = did_you_mean(field, list(row)) or f"; it has {', '.join(map(repr, row)) or 'none'}"
        raise DataError(
            f"has no field {field!r}{guess}", where=where, remedy="Set source.field to the field with text."
        )
    value = row[field]
    if value is not None and not isinstance(value, str):
        raise DataError(f"the field {field!r} is {_show(value)}, not text", where=where)
    return value


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else text[:57] + "..."
