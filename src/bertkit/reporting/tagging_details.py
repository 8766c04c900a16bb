"""What goes wrong in tagging: kinds of errors, and sentences by length."""

import statistics
from typing import Any

import numpy as np

from bertkit.evaluation.tagging import example_counts, rates
from bertkit.reporting import slices
from bertkit.reporting.scores import Scoreboard, System

# In the order of `evaluation.tagging.score`.
ERRORS = {
    "boundary": "right type, wrong boundary",
    "type": "right boundary, wrong type",
    "type_and_boundary": "both wrong",
    "missed": "missed",
    "spurious": "found where there is none",
}


def analyse(board: Scoreboard) -> dict[str, Any]:
    """Errors by kind of every system, and the best system's F1 by length of sentence, as plain JSON."""
    best = board.systems[0]
    lengths = [len(row["tokens"]) for row in best.runs[0].predictions]
    counts = [example_counts(run.predictions)[0] for run in best.runs]

    def measure(places: list[int]) -> dict[str, float | None]:
        found = [float(rates(one[places].sum(0))[2]) for one in counts]
        return {"f1": None if np.isnan(found).any() else statistics.fmean(found)}

    by_length = slices.of_each("length of sentence, tokens", slices.by_size(lengths), measure)
    return {
        "model": best.name,
        "seeds": len(best.runs),
        "errors": [{"model": system.name, **_mean_errors(system)} for system in board.systems],
        "slices": [by_length] if by_length else [],
    }


def _mean_errors(system: System) -> dict[str, float]:
    found = [run.scores.get("errors", {}) for run in system.runs]
    return {key: statistics.fmean(one.get(key, 0) for one in found) for key in ERRORS}
