"""The learning curve of a task: its score by the number of training rows, where a pipeline gave `train_sizes`."""

from collections.abc import Mapping
from typing import Any

from bertkit.reporting import numbers
from bertkit.reporting.plots import Axis, Line, Plot
from bertkit.reporting.table import Column, Row, Table

Report = Mapping[str, Any]


def plot(task: Report) -> Plot | None:
    """One line a model; None where none was trained on several numbers of rows."""
    if not (systems := _with_curve(task)):
        return None
    factor = 100 if numbers.unit(task["primary"]) else 1
    lines = [
        Line(
            one["model"],
            [(p["rows"], None if p["mean"] is None else factor * p["mean"]) for p in one["learning_curve"]],
        )
        for one in systems
    ]
    x, y = Axis("training rows", log=True), Axis(_heading(task["primary"]))
    return Plot("Score by training rows", task["name"], x, y, lines, marked=True)


def table(task: Report) -> Table | None:
    """One row a model and number of training rows; None where there is no curve."""
    if not (systems := _with_curve(task)):
        return None
    primary = task["primary"]
    columns = [Column("model", False), Column("training rows"), Column(_heading(primary))]
    columns += [Column("95\u00a0% interval"), Column("seeds")]
    rows = [Row(_cells(one["model"], primary, point)) for one in systems for point in one["learning_curve"]]
    return Table(f"{task['name']}: score by training rows", columns, rows)


def _cells(model: str, primary: str, point: Report) -> list[str]:
    score = numbers.score(primary, point["mean"])
    if point["sd"] is not None:
        score += f" ± {numbers.score(primary, point['sd'])}"
    interval = numbers.score_range(primary, point["interval"])
    return [model, numbers.count(point["rows"]), score, interval, str(point["seeds"])]


def _heading(metric: str) -> str:
    return numbers.title(metric) + (",\u00a0%" if numbers.unit(metric) else "")


def _with_curve(task: Report) -> list[Report]:
    return [system for system in task["systems"] if system["learning_curve"]]
