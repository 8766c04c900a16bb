"""What is told of a task beyond its scores, by kind: in which parts of the test set, and how, the best model goes wrong."""

from collections.abc import Mapping
from typing import Any

from bertkit.reporting import label_details, number_details, span_details, tagging_details
from bertkit.reporting.scores import Scoreboard

LABELS, LABEL_SETS, NUMBERS = "labels", "label sets", "numbers"


def analyse(board: Scoreboard, examples: Mapping[str, Mapping[str, Any]], *, limit: int) -> dict[str, Any] | None:
    """The details of a task as plain JSON, whose `of` says which; None where there are no predictions to look at, or
    they are of word vectors.

    Args:
        examples: id to the row of the task's data; empty where the report was not given it.
        limit: how many of the worst predicted numbers to list.
    """
    best = board.systems[0]
    rows = best.runs[0].predictions
    # Folds that were all scored on one split predict each of its rows several times.
    if (
        not rows
        or board.kind == "vectors"
        or any(len({row["id"] for row in run.predictions}) < len(run.predictions) for run in best.runs)
    ):
        return None
    if board.kind == "tagging":
        return {"of": board.kind, **tagging_details.analyse(board)}
    if board.kind == "spans":
        return {"of": board.kind, **span_details.analyse(best, examples)}
    if isinstance(rows[0]["gold"], list):
        return {"of": LABEL_SETS, **label_details.analyse_sets(best, board.labels)}
    if isinstance(rows[0]["gold"], str):
        return {"of": LABELS, **label_details.analyse(best, board.labels, examples)}
    if board.kind != "classification":
        return None
    return {"of": NUMBERS, **number_details.analyse(best, examples, limit=limit)}
