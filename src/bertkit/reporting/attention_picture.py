"""Attention as drawn pictures: lines from each token to those it looks at, and a table of heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertkit.reporting import numbers
from bertkit.reporting.attention import PATTERNS
from bertkit.reporting.visible_text import excerpt

WIDTH, ROW = 340, 19
_LEFT, _RIGHT, _TOP, _TOKEN_LIMIT = 118, 222, 14, 14


@dataclass(frozen=True, slots=True)
class Token:
    """A token on one side, and whether it is one of those that are asked about."""

    text: str
    y: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines as SVG paths, each with its opacity; all in pixels."""

    title: str
    width: int
    height: int
    left: list[Token]
    right: list[Token]
    paths: list[tuple[str, float]]
    description: str


def picture(view: Mapping[str, Any], number: int, *, chosen: Sequence[int] = ()) -> Picture:
    """The lines of one layer or head: on the left who looks, on the right what is looked at.

    Args:
        chosen: the places of tokens whose lines alone are drawn; all where there are none.
    """
    tokens, one = view["tokens"], view["pictures"][number]
    drawn = [line for line in one["lines"] if not chosen or line[0] in chosen]
    seen = {to for _, to, _ in drawn} if chosen else set()

    def side(marked: Sequence[int] | set[int]) -> list[Token]:
        return [Token(excerpt(text, limit=_TOKEN_LIMIT), _y(i), i in marked) for i, text in enumerate(tokens)]

    middle = (_LEFT + _RIGHT) // 2
    paths = [
        (f"M{_LEFT} {_y(a) - 4}C{middle} {_y(a) - 4} {middle} {_y(b) - 4} {_RIGHT} {_y(b) - 4}", weight)
        for a, b, weight in drawn
    ]
    strongest = sorted(drawn, key=lambda line: -line[2])[:3]
    told = "; ".join(f"{tokens[a]} looks at {tokens[b]} with {numbers.share(weight)}" for a, b, weight in strongest)
    return Picture(
        name(one), WIDTH, ROW * len(tokens) + 4, side(chosen), side(seen), paths, f"{name(one)}. Strongest: {told}."
    )


def name(one: Mapping[str, Any]) -> str:
    """`Layer 3, head 2`, or the mean of a layer's heads."""
    return f"Layer {one['layer']}, " + ("mean of all heads" if one["head"] is None else f"head {one['head']}")


def heads(view: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The cells of a table of layers (rows) and heads (columns): sign, meaning and share."""
    return [
        [
            {"sign": PATTERNS[kind][0], "share": share, "title": f"{PATTERNS[kind][1]}, {numbers.share(share)}"}
            for kind, share in layer
        ]
        for layer in view["heads"]
    ]


def in_words(view: Mapping[str, Any]) -> list[str]:
    """For each picture, what every word looks at most, special tokens aside."""
    tokens = view["tokens"]
    found = []
    for one in view["pictures"]:
        best: dict[int, tuple[int, float]] = {}
        for a, b, weight in one["lines"]:
            special = {"[CLS]", "[SEP]"} & {tokens[a], tokens[b]}
            if a != b and not special and weight > best.get(a, (0, 0.0))[1]:
                best[a] = (b, weight)
        pairs = [f"{tokens[a]} → {tokens[b]} {numbers.share(weight)}" for a, (b, weight) in sorted(best.items())]
        found.append(f"{name(one)}: {', '.join(pairs) or 'nothing but itself and special tokens'}")
    return found


def _y(i: int) -> int:
    return _TOP + ROW * i
