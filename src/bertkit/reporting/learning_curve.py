"""The learning curve of a task: its score by the number of training rows, where a pipeline gave `train_sizes`."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertkit.reporting import numbers
from bertkit.reporting.plots import Axis, Line, Plot
from bertkit.reporting.table import Column, Row, Table

Report = Mapping[str, Any]


def plot(task: Report) -> Plot | None:
    """One line a model; None where none was trained on several numbers of rows."""
    if not (systems := _with_curve(task)):
        return None
    lines = [Line(one["model"], _places(one["learning_curve"], task["primary"])) for one in systems]
    x, y = Axis("training rows", log=True), Axis(numbers.heading(task["primary"]))
    return Plot("Score by training rows", task["name"], x, y, lines, marked=True)


def table(task: Report) -> Table | None:
    """One row a model and number of training rows; None where there is no curve."""
    if not (systems := _with_curve(task)):
        return None
    primary = task["primary"]
    columns = [Column("model", False), Column("training rows"), Column(numbers.heading(primary))]
    columns += [Column("95\u00a0% interval"), Column("seeds")]
    rows = [Row(_cells(one["model"], primary, point)) for one in systems for point in one["learning_curve"]]
    return Table(f"{task['name']}: score by training rows", columns, rows)


def _cells(model: str, primary: str, point: Report) -> list[str]:
    score, interval = numbers.mean_and_sd(primary, point), numbers.score_range(primary, point["interval"])
    return [model, numbers.count(point["rows"]), score, interval, str(point["seeds"])]


def _places(points: Sequence[Report], metric: str) -> list[tuple[float, float | None]]:
    """Where the points stand; models trained before they told their number of rows have no place on the axis."""
    factor = 100 if numbers.unit(metric) else 1
    known = [point for point in points if point["rows"] is not None]
    return [(point["rows"], None if point["mean"] is None else factor * point["mean"]) for point in known]


def _with_curve(task: Report) -> list[Report]:
    return [system for system in task["systems"] if system["learning_curve"]]
