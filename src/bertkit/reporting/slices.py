"""Scores of parts of a test set: by length, by question word, by overlap."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Group = tuple[str, list[int]]
Floats = NDArray[np.float64]


def by_size(
    values: Sequence[float], *, groups: int = 4, show: Callable[[float], str] = "{:,.0f}".format
) -> list[Group]:
    """Examples in groups of about equal number, from small to large values; fewer where many values are equal.

    Returns:
        The name of each group, `3 to 17`, and its examples' places.
    """
    if not values:
        return []
    found = np.asarray(values, np.float64)
    edges = np.unique(np.quantile(found, np.arange(1, groups) / groups, method="higher"))
    place = np.searchsorted(edges, found, side="right")
    result = []
    for group in np.unique(place):
        own = found[place == group]
        low, high = show(float(own.min())), show(float(own.max()))
        result.append((low if low == high else f"{low} to {high}", np.flatnonzero(place == group).tolist()))
    return result


def by_name(names: Sequence[str]) -> list[Group]:
    """Examples of one name together, the most frequent first."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(name, []).append(place)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def mean_of_each(by: str, groups: Sequence[Group], scores: Mapping[str, Floats]) -> dict[str, Any] | None:
    """The mean of each score (one number an example) in every group; None where there is but one group.

    Returns:
        `by`, `metrics`, and `rows` with `name`, `count` and `values`.
    """
    return of_each(by, groups, lambda places: {name: float(values[places].mean()) for name, values in scores.items()})


def of_each(
    by: str, groups: Sequence[Group], measure: Callable[[list[int]], Mapping[str, float | None]]
) -> dict[str, Any] | None:
    """As `mean_of_each`, for metrics that are no means over examples."""
    if len(groups) < 2:
        return None
    rows = [{"name": name, "count": len(places), "values": dict(measure(places))} for name, places in groups]
    return {"by": by, "metrics": list(rows[0]["values"]), "rows": rows}  # type: ignore[call-overload]
