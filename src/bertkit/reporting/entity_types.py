"""How well each type of entity is found, over seeds."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Precision, recall and F1 of each type as mean and standard deviation, with its gold and predicted entities.

    Args:
        runs: the content of each seed's `metrics.json`; None comes back where one has no types.
    """
    tables = [run.get("per_type") for run in runs]
    if not all(tables):
        return None
    names = sorted({name for table in tables for name in table or ()})
    return {name: _type([(table or {}).get(name, {}) for table in tables]) for name in names}


def _type(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rates_found: dict[str, Any] = {}
    for key in ("precision", "recall", "f1"):
        known = [one[key] for one in found if one.get(key) is not None]
        rates_found[key] = {
            "mean": statistics.fmean(known) if len(known) == len(found) else None,
            "sd": statistics.stdev(known) if len(known) == len(found) > 1 else None,
        }
    return {
        **rates_found,
        "support": max(one.get("support", 0) for one in found),
        "predicted": statistics.fmean(one.get("predicted", 0) for one in found),
    }
