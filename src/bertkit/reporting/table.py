"""A table as plain cells, which both pages show: columns, rows, and what to draw beside the numbers."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, and whether its cells are numbers, aligned at their last digit."""

    title: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row. `bar` is a length from 0 to 1 drawn beside it; `kind` sets how it stands out."""

    cells: list[str]
    bar: float | None = None
    kind: Literal["", "total", "part", "loss"] = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption; `notes` are printed under it."""

    caption: str
    columns: list[Column]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    @property
    def has_bars(self) -> bool:
        return any(row.bar is not None for row in self.rows)
