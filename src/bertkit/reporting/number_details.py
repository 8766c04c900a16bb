"""Predicted numbers against gold ones: where they lie, and which are farthest off."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bertkit.reporting.scores import System
from bertkit.reporting.visible_text import excerpt

_MOST_DOTS, _TEXT_LIMIT = 400, 300


def analyse(system: System, examples: Mapping[str, Mapping[str, Any]], *, limit: int) -> dict[str, Any]:
    """The predictions, averaged over seeds, as (gold, predicted) pairs, and the largest differences, as plain JSON."""
    rows = system.runs[0].predictions
    gold = np.array([row["gold"] for row in rows], np.float64)
    said = np.mean([[row["predicted"] for row in run.predictions] for run in system.runs], axis=0)
    order = np.argsort(-np.abs(said - gold), kind="stable")
    # More dots than this cannot be told apart: every so many-th by gold number is drawn.
    shown = np.argsort(gold, kind="stable")[:: max(1, -(-len(rows) // _MOST_DOTS))]
    return {
        "model": system.name,
        "seeds": len(system.runs),
        "n": len(rows),
        "points": [[_rounded(gold[i]), _rounded(said[i])] for i in shown],
        "worst": [
            {
                "id": str(rows[i]["id"]),
                "gold": float(gold[i]),
                "predicted": float(said[i]),
                "text": _text(examples.get(str(rows[i]["id"]))),
            }
            for i in order[:limit]
        ],
    }


def _text(example: Mapping[str, Any] | None) -> str | None:
    return None if example is None else excerpt(" ⏎ ".join(example["texts"]), limit=_TEXT_LIMIT)


def _rounded(value: Any) -> float:
    return float(f"{value:.4g}")
