"""How each model was fine-tuned: loss, validation score, learning rate, gradient norm and speed, seeds on each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertkit.reporting import curves, numbers
from bertkit.reporting.plots import Axis, Line, Plot

_MOST_POINTS = 80
# Of the columns of `log.jsonl`; the first of several that a log has is drawn.
_SERIES = (
    ("Training loss", ("loss",)),
    ("Learning rate", ("learning_rate",)),
    ("Gradient norm", ("grad_norm",)),
    ("Speed", ("sequences_per_second", "tokens_per_second")),
)


def series(rows: Sequence[dict[str, Any]], metric: str | None) -> dict[str, Any]:
    """The columns of a log that are drawn, each as (step, value), thinned to what is seen.

    Args:
        metric: the validation figure that chose the weights; the validation loss where it is None or not in the log.
    """
    if not rows:
        return {}
    chosen = f"eval_{metric}" if any(f"eval_{metric}" in row for row in rows) else "eval_loss"
    found: dict[str, Any] = {}
    for name, columns in (*_SERIES[:1], ("Validation", (chosen,)), *_SERIES[1:]):
        column = next((one for one in columns if any(one in row for row in rows)), None)
        if column:
            points = [(row["step"], curves.finite(row[column])) for row in rows if column in row]
            found[name] = {"column": column, "points": curves.thin_evenly(points, _MOST_POINTS)}
    for column in curves.layer_columns(rows):
        points = [(row["step"], curves.finite(row[column])) for row in rows if column in row]
        name = f"Gradient norm, {curves.layer_title(column)}"
        found[name] = {"column": "grad_norm", "points": curves.thin_evenly(points, _MOST_POINTS)}
    return found


def groups(report: Mapping[str, Any]) -> list[tuple[str, list[Plot]]]:
    """Each model with its plots; runs of one model on one task, which differ in their seed, share them."""
    models: dict[str, list[Mapping[str, Any]]] = {}
    for run in report["fine_tuning"]:
        if run["curves"]:
            models.setdefault(f"{run['task']}: {run['name']}", []).append(run)
    return [(name, _plots(name, sorted(runs, key=_seed))) for name, runs in models.items()]


def _plots(name: str, runs: Sequence[Mapping[str, Any]]) -> list[Plot]:
    kinds = dict.fromkeys(kind for run in runs for kind in run["curves"])
    plots = []
    for kind in kinds:
        own = [(run, run["curves"][kind]) for run in runs if kind in run["curves"]]
        column = own[0][1]["column"]
        lines = [Line(_line_name(run), [(x, y) for x, y in found["points"]]) for run, found in own]
        plots.append(Plot(kind, name, Axis("step", low=0), Axis(_title(column)), lines))
    return plots


def _seed(run: Mapping[str, Any]) -> int:
    return -1 if run["seed"] is None else int(run["seed"])


def _line_name(run: Mapping[str, Any]) -> str:
    return f"seed {numbers.MISSING if run['seed'] is None else run['seed']}"


def _title(column: str) -> str:
    of = "validation " if column.startswith("eval_") else ""
    return of + numbers.title(column.removeprefix("eval_"))
