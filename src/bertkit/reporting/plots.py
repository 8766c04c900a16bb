"""Plots of one quantity over another: lines and dots on two axes, as inline SVG draws them and as a line of text.

Horizontal places are per cent of the plot's width, vertical ones pixels from the top, as in `figures`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bertkit.reporting import numbers
from bertkit.reporting.figures import HEIGHT, PATH_WIDTH, Tick, factor_ticks, level_text, round_ticks

_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARKLINE_WIDTH = 40
# Lines are told apart by colour and by dashes; there are no more of either.
MOST_LINES = 6
# The radius of the largest dot in pixels, and the size of dots that are all equal.
_LARGEST, _USUAL = 9, 0.1

Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class Line:
    """A named series of (x, y); None is a gap."""

    name: str
    points: Points


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows; without `low` and `high` it spans the values. With `log` equal distances are equal factors."""

    title: str
    low: float | None = None
    high: float | None = None
    log: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """What to draw, and of which model. `diagonal` is the line on which both axes are equal.

    `sizes` are the areas of the dots, where they differ, as shares of the largest. `marked` lines show where their points
    lie, as those of a single point always do.
    """

    title: str
    model: str
    x: Axis
    y: Axis
    lines: list[Line] = field(default_factory=list)
    dots: list[tuple[float, float]] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    diagonal: bool = False
    notes: list[str] = field(default_factory=list)
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """A plot's geometry: paths in a system of `PATH_WIDTH` by `HEIGHT`, dots as (per cent, pixels)."""

    x_ticks: list[Tick]
    y_ticks: list[Tick]
    paths: list[str]
    marks: list[tuple[int, float, float]]
    dots: list[tuple[float, float, float]]
    diagonal: str
    description: str


def draw(plot: Plot) -> Drawn:
    """The geometry of a plot."""
    points = [(x, y) for line in plot.lines for x, y in line.points if y is not None] + list(plot.dots)
    x_levels = _levels(plot.x, [x for x, _ in points], about=4)
    y_levels = _levels(plot.y, [y for _, y in points], about=5)

    def x_place(x: float, width: float) -> float:
        low, high, at = (math.log(value) if plot.x.log else value for value in (x_levels[0], x_levels[-1], x))
        return round(width * (at - low) / (high - low), 1)

    def y_place(y: float) -> float:
        return round(HEIGHT * (y_levels[-1] - y) / (y_levels[-1] - y_levels[0]), 1)

    def path(line: Points) -> str:
        parts, pen_down = [], False
        for x, y in line:
            if y is not None:
                parts.append(f"{'L' if pen_down else 'M'}{x_place(x, PATH_WIDTH):g} {y_place(y):g}")
            pen_down = y is not None
        return "".join(parts)

    low, high = max(x_levels[0], y_levels[0]), min(x_levels[-1], y_levels[-1])
    return Drawn(
        x_ticks=[Tick(x_place(level, 100), level_text(level, x_levels)) for level in x_levels],
        y_ticks=[Tick(y_place(level), level_text(level, y_levels)) for level in y_levels],
        paths=[path(line.points) for line in plot.lines],
        marks=[
            (number, x_place(x, 100), y_place(y))
            for number, line in enumerate(plot.lines)
            if plot.marked or len(line.points) == 1
            for x, y in line.points
            if y is not None
        ],
        dots=[
            (x_place(x, 100), y_place(y), round(_LARGEST * math.sqrt(size), 1))
            for (x, y), size in zip(plot.dots, plot.sizes or [_USUAL] * len(plot.dots), strict=True)
        ],
        diagonal=path([(low, low), (high, high)]) if plot.diagonal and low < high else "",
        description=" ".join([f"{plot.y.title} over {plot.x.title}.", *(in_words(line) for line in plot.lines)]),
    )


def in_words(line: Line) -> str:
    """Where a line begins and ends, for those who do not see it."""
    known = [y for _, y in line.points if y is not None]
    if not known:
        return f"{line.name}: no values."
    return f"{line.name} goes from {numbers.number(known[0])} to {numbers.number(known[-1])}."


def sparkline(points: Points) -> str:
    """First value, shape and last value of a series as text."""
    values = [value for _, value in points if value is not None]
    if not values:
        return numbers.MISSING
    width = min(len(values), _SPARKLINE_WIDTH)
    chosen = [values[round(i * (len(values) - 1) / max(width - 1, 1))] for i in range(width)]
    low, high = min(chosen), max(chosen)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    shape = "".join(_BLOCKS[round((value - low) * scale)] for value in chosen)
    return f"{numbers.number(values[0])} {shape} {numbers.number(values[-1])}"


def _levels(axis: Axis, values: Sequence[float], *, about: int) -> list[float]:
    known = [value for value in values if math.isfinite(value)]
    low = min(known, default=0.0) if axis.low is None else axis.low
    high = max(known, default=1.0) if axis.high is None else axis.high
    return factor_ticks(low, high) if axis.log else round_ticks(low, high, about=about)
