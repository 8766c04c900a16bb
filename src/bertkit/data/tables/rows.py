"""What a table reader gives back: rows that can be read, and rows that cannot, with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertkit.errors import DataError, did_you_mean

# A column by its name in the header, or by its place, counted from 1.
Column = str | int
# What a task needs (`text`, `label`) to the column that holds it.
Columns = Mapping[str, Column]

BLANK_LINE = "blank line"
NOT_UTF8 = "undecodable bytes"
MISSING_COLUMN = "missing column"


@dataclass(frozen=True, slots=True)
class Row:
    """One record: `number` is its first line (or row, in parquet), `values` what the table holds for each role."""

    number: int
    where: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that gives no row. Without an `error` it is only counted: a blank line, a row that has no label by design."""

    number: int
    reason: str
    error: DataError | None = None


def find_columns(
    columns: Columns, header: Sequence[str] | None, width: int, *, where: str, by_number: bool = False
) -> dict[str, int]:
    """Where each role's column stands, from 0; `by_number` tells whether the format has columns without names.

    Raises:
        DataError: a column that is not there, or a name that the header has twice.
    """
    return {role: _place(role, column, header, width, where, by_number) for role, column in columns.items()}


def _place(role: str, column: Column, header: Sequence[str] | None, width: int, where: str, by_number: bool) -> int:
    remedy = f"Say which column it is: source.columns.{role}=NAME{', or its number, from 1' if by_number else ''}."
    if by_number and role == "label":
        remedy += " Labels with a column each: source.columns.labels=[NAME, ...]."
    if by_number and header is not None:
        remedy += " If the first row is no header: source.header=false, and columns by number."
    if isinstance(column, int):
        if not 1 <= column <= width:
            raise DataError(f"has no column {column}: there are {width}", where=where, remedy=remedy)
        return column - 1
    if header is None:
        raise DataError(f"without a header no column is called {column!r}", where=where, remedy=remedy)
    if column not in header:
        guess = did_you_mean(column, header) or f"; it has {', '.join(map(repr, header))}"
        raise DataError(f"has no column {column!r}{guess}", where=where, remedy=remedy)
    return header.index(column)
