"""Rows of a table to labelled texts, and a count of every row that gives none."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertkit.data.tables.rows import BadRow, Row
from bertkit.data.task_labels import DEFAULT, UNLABELLED, Label, LabelRule, UnusableError, refuse_surrogates, shown
from bertkit.errors import DataError

_SHOWN_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Example:
    """A text or a pair of texts, and its label: one, a tuple of several, or a number.

    `where` is `file:line`, the file by name alone; `place` is the same by its whole path.
    """

    id: str
    text: str
    label: Label
    where: str
    place: str
    text_pair: str | None = None

    @property
    def content(self) -> str:
        """All that it says, by which splits are cut and compared."""
        return self.text if self.text_pair is None else f"{self.text}\0{self.text_pair}"


@dataclass(slots=True)
class Tally:
    """What became of the rows: `read` = kept + the sum of `dropped`, by reason; `bad` of them were unusable.

    `errors` are those of the first bad rows.
    """

    read: int = 0
    bad: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    errors: list[DataError] = field(default_factory=list)


def read_examples(
    rows: Iterable[Row | BadRow],
    *,
    prefix: str,
    tally: Tally,
    folder: Path | None = None,
    max_bad_rows: int = 0,
    rule: LabelRule = DEFAULT,
) -> Iterator[Example]:
    """The labelled texts of a table, each with the id `prefix:line`.

    Args:
        rows: with the role `text`, those that `rule` reads, and `text_pair` where texts come in pairs.
        tally: counts what is read, dropped and changed.
        folder: where the file lies, which is left out of an example's `where`.
        max_bad_rows: how many rows may be unusable, counted over all calls with this `tally`.
        rule: how labels are read.

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
            label = rule.read(row.values, tally.changed)
        except UnusableError as e:
            error = None if e.reason == UNLABELLED else DataError(e.what, where=row.where, remedy=e.remedy)
            drop(tally, e.reason, error, max_bad_rows)
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
    if len(tally.errors) < _SHOWN_ERRORS:
        tally.errors.append(error)
    if tally.bad > max_bad_rows:
        remedy = "Repair the row, or allow some to be dropped and counted with max_bad_rows=N."
        if max_bad_rows:
            remedy = f"This is bad row {tally.bad:,}; max_bad_rows={max_bad_rows} allows no more."
        raise DataError(error.what, where=error.where, remedy=f"{error.remedy} {remedy}" if error.remedy else remedy)


def _text(value: Any, role: str) -> str:
    """The value of the column for `role`, `text` or `text_pair`."""
    empty = f"empty {role}"
    if value is None:
        raise UnusableError(empty, f"the {role} is missing")
    if not isinstance(value, str):
        what = f"the {role} is {shown(value)}, a {type(value).__name__}"
        raise UnusableError(f"{role} is not a string", what, "Write it as a string.")
    refuse_surrogates(value, role)
    if not value.strip():
        raise UnusableError(empty, f"the {role} is empty")
    return value
