"""The geometry of the report's figures: ticks, line paths and label places, which the templates draw as inline SVG.

Horizontal places are per cent of the plot's width, so that a figure fits any screen while its text keeps its size;
vertical places are pixels from the top.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertkit.reporting import numbers

HEIGHT = 230
# Lines are drawn in a coordinate system of this width, which the browser stretches.
PATH_WIDTH = 1000
_LABEL_DISTANCE = 16
_MOST_FACTOR_TICKS = 7
# With more measurements than this, a dot on each of them would hide the line.
_MOST_DOTS = 40
_NARROWEST = 0.1


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """Loss over steps: paths in a system of `PATH_WIDTH` by `HEIGHT`, dots as (per cent, pixels)."""

    title: str
    unit: str
    description: str
    note: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    raw: str
    training: str
    heldout: str
    training_dots: list[tuple[float, float]]
    heldout_dots: list[tuple[float, float]]
    reference: float | None
    labels: list[tuple[str, Tick]]


@dataclass(frozen=True, slots=True)
class Strip:
    """One model's score on a common axis, in per cent of its width: mean, interval, and each seed's value."""

    mean: float | None
    interval: tuple[float, float] | None
    seeds: list[float]
    description: str


@dataclass(frozen=True, slots=True)
class Strips:
    """A strip for each model, the axis under them, and where the constant answer would lie."""

    rows: list[Strip]
    ticks: list[Tick]
    baseline: float | None

    @property
    def several(self) -> bool:
        """Whether any model was run with several seeds."""
        return any(row.seeds for row in self.rows)


def round_ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that span `low` to `high`, the ends included."""
    if not high > low:
        low, high = low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(-math.floor(math.log10(step)), 0)
    return [round(i * step, decimals) for i in range(first, last + 1)]


def factor_ticks(low: float, high: float) -> list[float]:
    """1, 2 or 5 times powers of ten around `low` to `high`, both above 0; where that is many, powers of ten alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        ladder = [factor * 10.0**power for power in (*powers, powers[-1] + 1) for factor in factors]
        first = max(i for i, level in enumerate(ladder) if level <= low)
        last = next(i for i, level in enumerate(ladder) if level >= high and i > first)
        if last - first < _MOST_FACTOR_TICKS:
            break
    return ladder[first : last + 1]


def line_chart(chart: Mapping[str, Any], *, last_step: int | None = None) -> LineChart:
    """The geometry of one loss chart of `report.json`.

    Args:
        last_step: where the axis of steps ends; by default, at the last row.
    """
    raw, smoothed, heldout = chart["raw"], chart["smoothed"], chart["heldout"]
    training = smoothed or raw
    reference = chart["reference"]
    steps = [step for step, _ in (*raw, *heldout)]
    end = max(last_step or 0, *steps, 1)
    values = [value for _, value in (*raw, *heldout) if value is not None]
    if reference:
        values.append(reference["value"])
    levels = round_ticks(*_not_too_narrow(min(values, default=0.0), max(values, default=1.0)))

    def y(value: float) -> float:
        return round(HEIGHT * (levels[-1] - value) / (levels[-1] - levels[0]), 1)

    def path(points: Sequence[Sequence[Any]]) -> str:
        return _path(points, end, y)

    def dots(points: Sequence[Sequence[Any]]) -> list[tuple[float, float]]:
        return [(_percent(step, end), y(value)) for step, value in points if value is not None]

    last = chart["last"]
    labels = [("training", last["training"]), ("heldout", last["heldout"])]
    if reference:
        labels.append(("reference", reference["value"]))
    words = {"training": "training", "heldout": "held-out", "reference": reference["label"] if reference else ""}
    known = [(kind, value) for kind, value in labels if value is not None]
    placed = [
        (kind, Tick(y(value), f"{words[kind]} {numbers.brief(value)}" if len(known) > 1 else numbers.brief(value)))
        for kind, value in known
    ]
    return LineChart(
        title=chart["title"],
        unit=chart["unit"],
        description=_describe_chart(chart, end),
        note=_chart_note(chart),
        x_ticks=[Tick(_percent(t, end), numbers.count(t)) for t in round_ticks(0, end, about=4) if t <= end],
        y_ticks=[Tick(y(level), level_text(level, levels)) for level in levels],
        raw=path(raw) if smoothed else "",
        training=path(training),
        heldout=path(heldout),
        training_dots=dots(training) if len(training) == 1 else [],
        heldout_dots=dots(heldout) if len(heldout) <= _MOST_DOTS else [],
        reference=y(reference["value"]) if reference else None,
        labels=_spread_labels(placed),
    )


def strips(task: Mapping[str, Any]) -> Strips | None:
    """The scores of a task's models on one axis; None when no model has a score."""
    primary, systems = task["primary"], task["systems"]
    base = task["majority"]["share"] if task["majority"] and primary == "accuracy" else None
    values = [value for system in systems for value in _values(system, primary)]
    if not values:
        return None
    # A constant answer far below the scores would squeeze them together; the notes name it all the same.
    if base is not None and base < min(values) - 2 * max(max(values) - min(values), _NARROWEST):
        base = None
    if base is not None:
        values.append(base)
    levels = round_ticks(min(values), max(values), about=4)

    def x(value: float) -> float:
        return round(100 * (value - levels[0]) / (levels[-1] - levels[0]), 2)

    rows = []
    for system in systems:
        value, interval = system["metrics"][primary], system["interval"]
        ends = (x(interval[0]), x(interval[1])) if interval else None
        seeds = [x(v) for v in value.get("values", []) if v is not None]
        mean = None if value["mean"] is None else x(value["mean"])
        words = f"{numbers.score(primary, value['mean'])}, interval {numbers.score_range(primary, interval)}"
        rows.append(Strip(mean, ends, seeds if len(seeds) > 1 else [], words))
    scale = 100 if numbers.unit(primary) else 1
    decimals = _decimals([level * scale for level in levels])
    ticks = [Tick(x(level), f"{level * scale:.{decimals}f}") for level in levels]
    return Strips(rows, ticks, None if base is None else x(base))


def _values(system: Mapping[str, Any], metric: str) -> list[float]:
    value = system["metrics"].get(metric) or {}
    known = [value.get("mean"), *value.get("values", []), *(system["interval"] or [])]
    return [one for one in known if one is not None]


def _not_too_narrow(low: float, high: float) -> tuple[float, float]:
    """A range of at least a tenth of its top, so that noise about a constant does not look like a trend."""
    missing = max(abs(high) * _NARROWEST - (high - low), 0.0)
    return low - missing / 2, high + missing / 2


def _path(points: Sequence[Sequence[Any]], end: float, y: Any) -> str:
    """An SVG path with a gap wherever a value is missing."""
    parts, pen_down = [], False
    for step, value in points:
        if value is None:
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{round(PATH_WIDTH * step / end, 1):g} {y(value):g}")
        pen_down = True
    return "".join(parts)


def _percent(step: float, end: float) -> float:
    return round(100 * step / end, 2)


def _decimals(levels: Sequence[float]) -> int:
    """How many decimals tell these round numbers apart."""
    return next((d for d in range(6) if all(abs(level - round(level, d)) < 1e-9 for level in levels)), 6)


def level_text(value: float, levels: Sequence[float]) -> str:
    """A round number with as many decimals as its neighbours need: small ones in powers of ten, large ones in thousands."""
    widest = max(abs(level) for level in levels)
    if widest < 0.01:
        return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-").replace("-", "\u2212") if value else "0"
    if widest >= 10_000:
        decimals = _decimals([level / 1000 for level in levels])
        return f"{value / 1000:,.{decimals}f}\u00a0k".replace("-", "\u2212") if value else "0"
    return f"{value:,.{_decimals(levels)}f}".replace("-", "\u2212")


def _spread_labels(labels: list[tuple[str, Tick]]) -> list[tuple[str, Tick]]:
    """Move labels apart where they would lie on each other, keeping their order and the middle of each heap."""
    heaps: list[list[tuple[str, Tick]]] = []
    for label in sorted(labels, key=lambda label: label[1].at):
        heaps.append([label])
        while len(heaps) > 1 and _top(heaps[-1]) - _bottom(heaps[-2]) < _LABEL_DISTANCE:
            heaps[-2:] = [[*heaps[-2], *heaps[-1]]]
    return [
        (kind, Tick(round(_top(heap) + i * _LABEL_DISTANCE, 1), tick.text))
        for heap in heaps
        for i, (kind, tick) in enumerate(heap)
    ]


def _top(heap: list[tuple[str, Tick]]) -> float:
    """Where the first label of a heap goes: the heap is centred on the mean of its places, and stays in the plot."""
    centre = sum(tick.at for _, tick in heap) / len(heap)
    reach = (len(heap) - 1) * _LABEL_DISTANCE
    return min(max(centre - reach / 2, 0.0), HEIGHT - reach)


def _bottom(heap: list[tuple[str, Tick]]) -> float:
    return _top(heap) + (len(heap) - 1) * _LABEL_DISTANCE


def _describe_chart(chart: Mapping[str, Any], end: int) -> str:
    """What the figure shows, for those who do not see it."""
    parts = [f"Loss in {chart['unit']} over {end:,} steps."]
    for name, key in (("Training", "raw"), ("Held-out", "heldout")):
        known = [value for _, value in chart[key] if value is not None]
        if known:
            last = chart["last"]["training" if key == "raw" else "heldout"]
            parts.append(f"{name} loss goes from {numbers.number(known[0])} to {numbers.number(last)}.")
    return " ".join(parts)


def _chart_note(chart: Mapping[str, Any]) -> str:
    """How the lines were made."""
    row = chart["row_steps"]
    parts = []
    if chart["window_steps"]:
        parts.append(f"Training: mean of {chart['window_steps']:,} steps, over the means of {row:,} in the background.")
    elif chart["raw"]:
        parts.append(f"Training: means of {numbers.plural(row, 'step')}.")
    if not chart["heldout"] and chart["key"].endswith("loss"):
        parts.append("No held-out text was measured.")
    if chart["not_finite"]:
        parts.append(
            f"Gaps: {numbers.plural(chart['not_finite'], 'value')} that {'are' if chart['not_finite'] > 1 else 'is'} not a number."
        )
    return " ".join(parts)
