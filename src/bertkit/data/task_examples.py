"""Rows of a table to labelled texts: the one rule for labels, and a count of every row that gives none."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertkit.data.tables.rows import BadRow, Row
from bertkit.errors import DataError, did_you_mean

NO_LABEL = "no label"
BAD_LABEL = "label is not text or a number"
UNKNOWN_LABEL = "label is not one of label_names"
LONE_SURROGATE = "lone surrogate"
UNLABELLED = "unlabelled"

WHOLE_NUMBER = "label 1.0 read as 1"
SPACES = "spaces around the label removed"

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Example:
    """A text or a pair of texts, and its label.

    `where` is `file:line`, the file by name alone; `place` is the same by its whole path.
    """

    id: str
    text: str
    label: str
    where: str
    place: str
    text_pair: str | None = None

    @property
    def content(self) -> str:
        """All that it says, by which splits are cut and compared."""
        return self.text if self.text_pair is None else f"{self.text}\0{self.text_pair}"


@dataclass(slots=True)
class Tally:
    """What became of the rows: `read` = kept + the sum of `dropped`, by reason; `bad` of them were unusable."""

    read: int = 0
    bad: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)


class _UnusableError(Exception):
    """A row that is no example: the reason it is counted under, and what to tell the user."""

    def __init__(self, reason: str, what: str, remedy: str | None = None) -> None:
        super().__init__(what)
        self.reason, self.what, self.remedy = reason, what, remedy


def read_examples(
    rows: Iterable[Row | BadRow],
    *,
    prefix: str,
    tally: Tally,
    folder: Path | None = None,
    max_bad_rows: int = 0,
    label_names: Sequence[str] | None = None,
) -> Iterator[Example]:
    """The labelled texts of a table, each with the id `prefix:line`.

    Args:
        rows: with the roles `text` and `label`, and `text_pair` where texts come in pairs.
        tally: counts what is read, dropped and changed.
        folder: where the file lies, which is left out of an example's `where`.
        max_bad_rows: how many rows may be unusable, counted over all calls with this `tally`.
        label_names: the labels there may be; where the data has numbers instead, number i is the i-th, from 0.

    Raises:
        DataError: the first unusable row above `max_bad_rows`, with its place.
    """
    for row in rows:
        tally.read += 1
        if isinstance(row, BadRow):
            drop(tally, row.reason, row.error, max_bad_rows)
            continue
        try:
            text = _text(row.values["text"], "text")
            pair = _text(row.values["text_pair"], "text_pair") if "text_pair" in row.values else None
            label = _named(_label(row.values["label"], tally), label_names)
        except _UnusableError as e:
            drop(tally, e.reason, DataError(e.what, where=row.where, remedy=e.remedy), max_bad_rows)
            continue
        yield Example(f"{prefix}:{row.number}", text, label, row.where.removeprefix(f"{folder}/"), row.where, pair)


def count_unlabelled(rows: Iterable[Row | BadRow], *, tally: Tally) -> None:
    """Count a published split whose labels are kept secret: nothing of it can be used here."""
    for row in rows:
        tally.read += 1
        tally.dropped[row.reason if isinstance(row, BadRow) else UNLABELLED] += 1


def drop(tally: Tally, reason: str, error: DataError | None, max_bad_rows: int) -> None:
    """Count a row that cannot be used; without an `error` it is none by design.

    Raises:
        DataError: `error`, with a remedy, where more than `max_bad_rows` were unusable.
    """
    tally.dropped[reason] += 1
    if error is None:
        return
    tally.bad += 1
    if tally.bad > max_bad_rows:
        remedy = "Repair the row, or allow some to be dropped and counted with max_bad_rows=N."
        if max_bad_rows:
            remedy = f"This is bad row {tally.bad:,}; max_bad_rows={max_bad_rows} allows no more."
        raise DataError(error.what, where=error.where, remedy=f"{error.remedy} {remedy}" if error.remedy else remedy)


def _text(value: Any, role: str) -> str:
    """The value of the column for `role`, `text` or `text_pair`."""
    empty = f"empty {role}"
    if value is None:
        raise _UnusableError(empty, f"the {role} is missing")
    if not isinstance(value, str):
        what = f"the {role} is {value!r}, a {type(value).__name__}"
        raise _UnusableError(f"{role} is not a string", what, "Write it as a string.")
    _refuse_surrogates(value, role)
    if not value.strip():
        raise _UnusableError(empty, f"the {role} is empty")
    return value


def _label(value: Any, tally: Tally) -> str:
    """A label is its text without spaces around it; a whole number is the same label as 1, 1.0, "1" or "1.0"."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float() if math.isnan(value):
            raise _UnusableError(NO_LABEL, "the label is missing")
        case float():
            value = repr(value)
        case None:
            raise _UnusableError(NO_LABEL, "the label is missing")
        case str():
            _refuse_surrogates(value, "label")
        case _:
            raise _UnusableError(BAD_LABEL, f"the label is {value!r}, a {type(value).__name__}")
    label = str(value).strip()
    if not label:
        raise _UnusableError(NO_LABEL, "the label is empty")
    tally.changed[SPACES] += label != value
    if whole := _WHOLE.fullmatch(label):
        tally.changed[WHOLE_NUMBER] += 1
        return str(int(whole[1]))
    return label


def _named(label: str, names: Sequence[str] | None) -> str:
    """`label` as one of `names`, by name or else by number."""
    if names is None or label in names:
        return label
    if label.isdecimal() and label.isascii() and str(int(label)) == label and int(label) < len(names):
        return names[int(label)]
    raise _UnusableError(
        UNKNOWN_LABEL,
        f"the label {label!r} is not one of {', '.join(map(repr, names))}{did_you_mean(label, names)}",
        "Correct it, or add it to source.label_names.",
    )


def _refuse_surrogates(value: str, role: str) -> None:
    if not value.isascii() and (found := _SURROGATE.search(value)):
        raise _UnusableError(
            LONE_SURROGATE,
            f"the {role} has half a character (lone surrogate \\u{ord(found[0]):04x}) at character {found.start():,}",
            "Write the file again from text in which emoji and other such characters are whole.",
        )
