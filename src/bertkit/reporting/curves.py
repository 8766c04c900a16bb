"""A training log to the series that a chart shows: smoothed, and thinned to what a screen can tell apart."""

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bertkit.reporting.numbers import is_missing

Point = tuple[int, float | None]

# More points than this in one line are not seen.
MAX_POINTS = 240
# The smoothing window is this share of all rows: wide enough to calm the line, narrow enough to keep its shape.
_WINDOW_SHARE = 0.04
_FEW_ROWS = 25
# Guessing which of two equally frequent answers is right costs ln 2 nats.
_COIN = math.log(2)
# Columns of the log that hold the gradient's norm in a part of the network.
LAYER_NORM = "grad_norm."


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a `log.jsonl`; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def charts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Charts of the MLM and NSP losses, learning rate, gradient norm and speed, each where the log has it."""
    found = [
        _chart(rows, "mlm_loss", "Masked words (MLM)", "loss in nats a masked token", None),
        _chart(rows, "nsp_loss", "Next sentence (NSP)", "loss in nats a pair", {"value": _COIN, "label": "guessing"}),
        _chart(rows, "learning_rate", "Learning rate", "", None),
        _chart(rows, "grad_norm", "Gradient norm", "L2 norm before clipping", None),
        _chart(rows, "tokens_per_second", "Speed", "tokens a second", None),
    ]
    found += [_chart(rows, key, f"Gradient, {layer_title(key)}", "L2 norm", None) for key in layer_columns(rows)]
    return [chart for chart in found if chart["raw"] or chart["heldout"]]


def layer_columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The gradient norms to draw where a log has those of layers: embeddings, lowest layer, highest layer, head."""
    found = list(dict.fromkeys(key for row in rows for key in row if key.startswith(LAYER_NORM)))
    layers = sorted((key for key in found if ".layer." in key), key=lambda key: int(key.rpartition(".")[2]))
    ends = dict.fromkeys([*layers[:1], *layers[-1:]])
    others = [key for key in found if key not in layers]
    return (
        [key for key in others if not key.endswith(".head")]
        + [*ends]
        + [key for key in others if key.endswith(".head")]
    )


def layer_title(key: str) -> str:
    """`grad_norm.layer.1` is layer 2, as people count."""
    part = key.removeprefix(LAYER_NORM)
    return f"layer {int(part.removeprefix('layer.')) + 1}" if part.startswith("layer.") else part


def _chart(
    rows: Sequence[dict[str, Any]], key: str, title: str, unit: str, reference: dict[str, Any] | None
) -> dict[str, Any]:
    raw = _series(rows, key)
    heldout = _series(rows, f"eval_{key}")
    window = _window(len(raw))
    smooth = moving_mean(raw, window) if window > 1 else []
    return {
        "key": key,
        "title": title,
        "unit": unit,
        "rows": len(raw),
        "row_steps": _spacing(raw),
        "window_steps": window * _spacing(raw) if smooth else None,
        "raw": thin_extremes(raw),
        "smoothed": thin_evenly(smooth),
        "heldout": thin_evenly(heldout),
        "last": {
            "training": _last(smooth or raw),
            "heldout": _last(heldout),
        },
        "not_finite": sum(value is None for _, value in (*raw, *heldout)),
        "reference": reference,
    }


def _series(rows: Sequence[dict[str, Any]], key: str) -> list[Point]:
    """Step and value; None where the value is there but is not a finite number."""
    return [(int(row["step"]), finite(row[key])) for row in rows if key in row]


def finite(value: float | None) -> float | None:
    """A logged number; None where it is none, NaN or infinite."""
    return None if value is None or is_missing(value) else float(value)


def _window(count: int) -> int:
    """An odd number of rows."""
    return 1 if count < _FEW_ROWS else 2 * max(round(count * _WINDOW_SHARE / 2), 1) + 1


def _spacing(points: Sequence[Point]) -> int:
    """Steps between two rows, as most of the log has it."""
    gaps = sorted(b[0] - a[0] for a, b in pairwise(points))
    return gaps[len(gaps) // 2] if gaps else 1


def _last(points: Sequence[Point]) -> float | None:
    return next((value for _, value in reversed(points) if value is not None), None)


def moving_mean(points: Sequence[Point], window: int) -> list[Point]:
    """The mean of `window` (odd) rows around each.

    At the start, where losses fall fast, only as many rows are taken as lie evenly on both sides; at the end, where
    they hardly move, the rows after the last one are simply missing, so that the last value is not one row's noise.
    """
    sums, counts = [0.0], [0]
    for _, value in points:
        sums.append(sums[-1] + (value or 0.0))
        counts.append(counts[-1] + (value is not None))
    means: list[Point] = []
    for i, (step, value) in enumerate(points):
        half = min(window // 2, i)
        start, end = i - half, min(i + half + 1, len(points))
        count = counts[end] - counts[start]
        mean = (sums[end] - sums[start]) / count if count else None
        means.append((step, None if value is None or mean is None else _rounded(mean)))
    return means


def thin_evenly(points: Sequence[Point], limit: int = MAX_POINTS) -> list[Point]:
    """At most `limit` points at even distances, the first and the last among them; gaps stay gaps where they are hit."""
    if len(points) > limit:
        points = [points[round(i * (len(points) - 1) / (limit - 1))] for i in range(limit)]
    return [(step, _rounded(value)) for step, value in points]


def thin_extremes(points: Sequence[Point], limit: int = MAX_POINTS) -> list[Point]:
    """At most `limit` points, chosen so that every spike stays: the least and the greatest of each stretch."""
    if len(points) <= limit:
        return thin_evenly(points)
    stretches = limit // 2
    kept: list[Point] = []
    for i in range(stretches):
        stretch = points[i * len(points) // stretches : (i + 1) * len(points) // stretches]
        known = [point for point in stretch if point[1] is not None]
        if known:
            ends = {min(known, key=lambda p: p[1] or 0.0), max(known, key=lambda p: p[1] or 0.0)}
            kept += sorted(ends, key=lambda p: p[0])
        else:
            kept.append(stretch[0])
    return [(step, _rounded(value)) for step, value in kept]


def _rounded(value: float | None) -> float | None:
    """Five digits: more than any screen shows, and a smaller file."""
    return None if value is None else float(f"{value:.5g}")
