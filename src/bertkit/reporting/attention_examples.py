"""A few texts of each task as its best model looks at them: the first of those that it got wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertkit.errors import DataError
from bertkit.reporting import attention
from bertkit.reporting.scores import System

# Longer texts make pictures that nobody follows.
MOST_TOKENS = 32


def look(
    system: System,
    folder: Path | None,
    shown: list[Mapping[str, Any]],
    examples: Mapping[str, Mapping[str, Any]],
    *,
    limit: int,
) -> dict[str, Any] | None:
    """What the model of a system's first run looks at, as plain JSON; None where it has no attention or there are no texts.

    Args:
        shown: the mistakes that the report shows, whose texts come first.
        examples: id to the row of the task's data with its `texts`.
        limit: how many texts.
    """
    if folder is None or not limit or not attention.can_be_looked_at(folder):
        return None
    texts = dict(list(_texts(system, shown, examples).items())[:limit])
    if not texts:
        return None
    gaze = attention.Gaze(folder)
    layers = sorted({1, (gaze.layers + 1) // 2, gaze.layers}) if gaze.layers else []
    views, left_out = [], []
    for id, parts in texts.items():
        try:
            seen = gaze.look(parts, limit=MOST_TOKENS)
        except DataError as e:
            left_out.append({"id": id, "reason": e.what})
            continue
        views.append({"id": id, **attention.view(seen, [(layer, None) for layer in layers])})
    return {"model": system.name, "seed": system.runs[0].seed, "views": views, "left_out": left_out}


def _texts(
    system: System, shown: list[Mapping[str, Any]], examples: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str | list[str]]]:
    """Texts by id, those to tag as their tokens: those of the mistakes, or of the first examples where there are none."""
    rows = {str(row["id"]): row for row in system.runs[0].predictions}
    found: dict[str, list[str | list[str]]] = {}
    for id in [*(str(one["id"]) for one in shown), *rows]:
        if "tokens" in rows.get(id, {}):
            found[id] = [rows[id]["tokens"]]
        elif id in examples:
            found[id] = list(examples[id]["texts"])
    return found
