"""The pipeline as a picture: every result on a line, the later under the earlier, joined to what it was made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertkit.reporting import numbers
from bertkit.reporting.table import Column, Row, Table
from bertkit.reporting.visible_text import excerpt

ROW, WIDTH = 44, 440
_MARGIN, _NAME_LIMIT, _BAR = 22, 40, 120


@dataclass(frozen=True, slots=True)
class Stop:
    """A result: its name and figures, its place in pixels, and how long its bar is (a share of the longest time)."""

    title: str
    figures: str
    x: int
    y: int
    bar: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What the template draws, in pixels."""

    width: int
    height: int
    stops: list[Stop]
    paths: list[str]
    description: str


def steps(made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The results in an order in which each follows what it was made from; those that differ in their seed are one.

    Returns:
        For each `stage`, `subject`, `runs`, `seconds` and `bytes` in all, `first` (a fingerprint), and `inputs`: the
        places of others in this list.
    """
    names = {one["fingerprint"]: (one["stage"] or one["artifact"], one["subject"]) for one in made}
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for one in made:
        name = names[one["fingerprint"]]
        step = merged.setdefault(
            name,
            {"stage": name[0], "subject": name[1], "runs": 0, "seconds": 0.0, "bytes": 0, "inputs": set()}
            | {"first": one["fingerprint"]},
        )
        step["runs"] += 1
        step["seconds"] += one["seconds"] or 0.0
        step["bytes"] += one["bytes"] or 0
        step["inputs"] |= {names[given] for given in given_to(one) if given in names} - {name}
    ordered = _in_order(merged)
    place = {name: i for i, name in enumerate(ordered)}
    return [
        {
            **merged[name],
            "inputs": sorted(place[given] for given in merged[name]["inputs"] if place[given] < place[name]),
        }
        for name in ordered
    ]


def given_to(one: Mapping[str, Any]) -> list[str]:
    """The fingerprints of what a result was made from."""
    found = one["inputs"].values()
    return [given for value in found for given in (value if isinstance(value, list) else [value])]


def _in_order(merged: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Each after its inputs, otherwise as they came."""
    ordered: dict[tuple[str, str], None] = {}

    def visit(name: tuple[str, str], above: tuple[tuple[str, str], ...]) -> None:
        if name in ordered or name in above:
            return
        for given in merged:
            if given in merged[name]["inputs"]:
                visit(given, (*above, name))
        ordered[name] = None

    for name in merged:
        visit(name, ())
    return list(ordered)


def picture(report: Mapping[str, Any]) -> Picture | None:
    """The geometry of the picture; None where there is nothing to join."""
    found = report["pipeline"]
    if len(found) < 2:
        return None
    longest = max(one["seconds"] for one in found) or 1.0
    reach = max((i - given for i, one in enumerate(found) for given in one["inputs"]), default=1)
    x = _MARGIN + min(90, 14 + 7 * reach)
    stops = [
        Stop(_cut_name(one), figures(one), x, _y(i), round(one["seconds"] / longest * _BAR, 1))
        for i, one in enumerate(found)
    ]
    paths = []
    for i, one in enumerate(found):
        for given in one["inputs"]:
            left = round(x - min(x - 6, 14 + 7 * (i - given)), 1)
            paths.append(f"M{x} {_y(given)}C{left} {_y(given)} {left} {_y(i)} {x} {_y(i)}")
    words = "; ".join(_told(found, i) for i in range(len(found)))
    return Picture(WIDTH, ROW * len(found), stops, paths, f"What was made from what: {words}.")


def table(report: Mapping[str, Any]) -> Table | None:
    """The same as a table."""
    found = report["pipeline"]
    if len(found) < 2:
        return None
    rows = [
        Row(
            [
                name(one),
                numbers.duration(one["seconds"]),
                _bytes(one["bytes"]),
                ", ".join(name(found[given]) for given in one["inputs"]) or numbers.MISSING,
            ]
        )
        for one in found
    ]
    columns = [Column("result", False), Column("time"), Column("size"), Column("made from", False)]
    return Table("The pipeline", columns, rows)


def name(one: Mapping[str, Any]) -> str:
    """`finetune: topic, BERT ×3`."""
    times = f" ×{one['runs']}" if one["runs"] > 1 else ""
    return f"{one['stage']}{': ' if one['subject'] else ''}{one['subject']}{times}"


def _cut_name(one: Mapping[str, Any]) -> str:
    """As `name`, with a long subject cut to what fits."""
    return name({**one, "subject": excerpt(one["subject"], limit=_NAME_LIMIT - len(one["stage"]))})


def figures(one: Mapping[str, Any]) -> str:
    """Time and size in words."""
    return f"{numbers.duration(one['seconds'])}, {_bytes(one['bytes'])}"


def _bytes(amount: float) -> str:
    return f"{numbers.size(amount)}B" if amount >= 1000 else f"{numbers.count(amount)}\u00a0B"


def _told(found: Sequence[Mapping[str, Any]], i: int) -> str:
    given = " and ".join(name(found[place]) for place in found[i]["inputs"])
    return f"{name(found[i])}{f' from {given}' if given else ''}"


def _y(i: int) -> int:
    return ROW * i + 16
