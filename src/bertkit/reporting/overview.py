"""Every model and baseline of every task in one table: score, certainty, cost and speed."""

from collections.abc import Mapping
from typing import Any

from bertkit.reporting import numbers
from bertkit.reporting.numbers import MISSING, duration
from bertkit.reporting.table import Column, Row, Table

Report = Mapping[str, Any]

BEST, WORSE, BETTER, LEVEL = "best", "worse", "better", "within chance"


def table(report: Report) -> Table | None:
    """One row a model, the tasks after each other; None where the only task's own table says the same."""
    tasks = report["tasks"]
    if len(tasks) < 2:
        return None
    titles = (
        "metric",
        "score",
        "95\u00a0% interval",
        "seeds",
        "against the best",
        "parameters",
        "training",
        "a second",
    )
    columns = [Column("task", False), Column("model", False), Column(titles[0], False)]
    columns += [Column(title, title != "against the best") for title in titles[1:]]
    rows = [Row(_cells(task, system)) for task in tasks for system in task["systems"]]
    notes = [
        "Against the best: whether the difference on the same test examples is more than chance would make (randomisation "
        "test and bootstrap interval, at 5\u00a0%), not corrected for making several comparisons.",
        "A second: texts, sentences or questions predicted a second on the machine of the evaluation, encoding included.",
    ]
    return Table("Every model on every task", columns, rows, notes)


def _cells(task: Report, system: Report) -> list[str]:
    primary = task["primary"]
    split = "" if task["split"] == "test" else f" ({task['split']})"
    return [
        task["name"] + split,
        system["model"],
        numbers.heading(primary),
        numbers.mean_and_sd(primary, system["metrics"][primary]),
        numbers.score_range(primary, system["interval"]),
        str(len(system["seeds"])),
        against_best(task, system),
        numbers.size(system["parameters"]),
        duration(system["train_seconds"]),
        speed(task, system),
    ]


def against_best(task: Report, system: Report) -> str:
    """Whether a model is the best, worse beyond chance, or neither; a dash where they cannot be compared.

    Where the primary metric cannot be compared, labels are by their accuracy: the mark says so, and a model that scores
    less by the primary one may be the better one.
    """
    best = task["systems"][0]["model"]
    if system["model"] == best:
        return BEST if len(task["systems"]) > 1 else MISSING
    for found in task["comparisons"]:
        if {found["first"], found["second"]} == {best, system["model"]} and found["claim"]:
            lead = found["difference"] if found["first"] == best else -found["difference"]
            mark = (WORSE if lead > 0 else BETTER) if found["significant"] else LEVEL
            return mark if found["metric"] == task["primary"] else f"{mark}, by {numbers.title(found['metric'])}"
    return MISSING


def speed(task: Report, system: Report) -> str:
    """Examples predicted a second."""
    seconds = system["predict_seconds"]
    return numbers.count(round(task["n"] / seconds)) if seconds else MISSING
