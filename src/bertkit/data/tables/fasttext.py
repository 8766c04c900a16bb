"""fastText's lines to rows: labels with their prefix, then the text (Joulin et al. 2016), as flair reads them too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertkit.data.tables.lines import Lines, usable_lines
from bertkit.data.tables.rows import BadRow, Row
from bertkit.errors import DataError

PREFIX = "__label__"
NO_PREFIX = "no label before the text"


def read_fasttext(path: Path, *, several: bool) -> Iterator[Row | BadRow]:
    """Rows of `text` and `label`, a list of labels where a text may have `several`.

    Labels are the words with the prefix that a line begins with; a prefix further on is text.
    """
    lines = Lines(path)
    for line in usable_lines(lines):
        if isinstance(line, BadRow):
            yield line
            continue
        labels, text = _parts(line)
        where = lines.where(lines.number)
        if not labels:
            error = DataError(
                f"begins without {PREFIX}: {line[:60]!r}", where=where, remedy=f"Write {PREFIX}NAME TEXT."
            )
            yield BadRow(lines.number, NO_PREFIX, error)
            continue
        label: Any = labels if several or len(labels) > 1 else labels[0]
        yield Row(lines.number, where, {"text": text, "label": label})


def has_several(path: Path) -> bool:
    """Whether a line of a file has more than one label."""
    return any(len(_parts(line)[0]) > 1 for line in Lines(path))


def _parts(line: str) -> tuple[list[str], str]:
    """The labels that a line begins with, and the rest of it."""
    labels, rest = [], line.strip()
    while rest.startswith(PREFIX):
        word, rest = [*rest.split(maxsplit=1), ""][:2]
        labels.append(word.removeprefix(PREFIX))
    return labels, rest
