"""Attention as drawn pictures: lines from each token to those it looks at, shaded tokens, and a table of heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

from bertkit.reporting import numbers
from bertkit.reporting.attention import PATTERNS
from bertkit.reporting.visible_text import excerpt

WIDTH, ROW = 340, 19
# Of shaded text: a letter of a fixed width, what is around a token, between tokens, from line to line.
_LETTER, _PAD, _GAP, _LINE, _WORD_LIMIT = 7.3, 3, 2, 23, 28
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


@dataclass(frozen=True, slots=True)
class Box:
    """A token in a line of text, shaded from 0 to 1; in pixels."""

    text: str
    x: float
    y: int
    width: float
    shade: float
    title: str


@dataclass(frozen=True, slots=True)
class Shaded:
    """A text whose tokens are shaded by their weight, the greatest strongest; `note` says how great it is."""

    title: str
    width: int
    height: int
    boxes: list[Box]
    description: str
    note: str


def shaded(view: Mapping[str, Any], number: int) -> Shaded:
    """The tokens of a text by how much of each is taken."""
    tokens, one = view["tokens"], view["shares"][number]
    greatest = max(one["weights"]) or 1.0
    boxes, x, y = [], 0.0, _TOP
    for token, weight in zip(tokens, one["weights"], strict=True):
        text = excerpt(token, limit=_WORD_LIMIT)
        wide = sum(east_asian_width(character) in "WF" for character in text)
        width = _LETTER * (len(text) + wide) + 2 * _PAD
        if x and x + width > WIDTH:
            x, y = 0.0, y + _LINE
        title = f"{text}: {numbers.share(weight)}"
        boxes.append(Box(text, round(x, 1), y, round(width, 1), round(weight / greatest, 3), title))
        x += width + _GAP
    told = ", ".join(f"{tokens[i]} {numbers.share(one['weights'][i])}" for i in strongest(one["weights"], 3))
    taken = [weight for weight in one["weights"] if weight]
    note = f"Most: {told}. Shared evenly, each would have {numbers.share(sum(taken) / max(len(taken), 1))}."
    return Shaded(made_of(view, number), WIDTH, y + 8, boxes, f"{made_of(view, number)}. {note}", note)


def made_of(view: Mapping[str, Any], number: int) -> str:
    """What a row of weights tells."""
    return f"What the {view['shares'][number]['of']}'s vector is made of"


def strongest(weights: Sequence[float], count: int) -> list[int]:
    """The places of the greatest weights."""
    return sorted(range(len(weights)), key=lambda i: -weights[i])[:count]


def name(one: Mapping[str, Any]) -> str:
    """`Layer 3, head 2`, the mean of a layer's heads, or what is taken from a question."""
    if one["layer"] is None:
        return "What each token takes from the question"
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
    """For each picture, what every word looks at most, special tokens aside; of shares, the greatest."""
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
    for number, row in enumerate(view["shares"]):
        most = [f"{tokens[i]} {numbers.share(row['weights'][i])}" for i in strongest(row["weights"], 5)]
        found.append(f"{made_of(view, number)}: {', '.join(most)}")
    return found


def _y(i: int) -> int:
    return _TOP + ROW * i
