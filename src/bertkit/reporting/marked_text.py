"""A text cut into pieces that say what is gold and what was predicted there, so that mistakes are seen in their place."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from bertkit.data.tagging.schemes import read_tags
from bertkit.data.tagging.sentences import join_tokens

# Characters shown on each side of what is marked, and at most in all.
_REACH, _MOST = 110, 420
_BREAK = re.compile(r"\s*[\n\r\u2028\u2029]\s*")


class Mark(NamedTuple):
    """Characters `start` up to `end` of a text, and the name of what stands there."""

    start: int
    end: int
    label: str


def pieces(text: str, gold: Sequence[Mark], said: Sequence[Mark]) -> list[dict[str, Any]]:
    """`text` near its marks, cut wherever a mark begins or ends.

    Of marks of one side that overlap, the first counts.

    Returns:
        For each piece `text`, the `gold` and the `said` label (None where there is none), whether they begin here
        (`gold_starts`, `said_starts`), and whether it is `right`: the same mark on both sides.
    """
    golds, saids = _apart(gold), _apart(said)
    low, high = _window(text, [*golds, *saids])
    edges = {low, high, *(place for mark in (*golds, *saids) for place in mark[:2] if low < place < high)}
    found = [_piece(text, start, end, golds, saids) for start, end in pairwise(sorted(edges))]
    if found and low:
        found.insert(0, _plain("…"))
    if found and high < len(text):
        found.append(_plain("…"))
    return found


def of_sentence(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pieces of a tagged sentence, a line of `predictions.jsonl`."""
    text, starts, ends = join_tokens(list(row["tokens"]))

    def marks(side: str) -> list[Mark]:
        return [Mark(starts[e.start], ends[e.end - 1], e.type) for e in read_tags(row[side], "bio").entities]

    return pieces(text, marks("gold"), marks("predicted"))


def of_answer(row: Mapping[str, Any], example: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pieces of a context with its gold answers and the predicted one; of several passages none is shown."""
    if not isinstance(example["context"], str):
        return []
    gold = [Mark(a["answer_start"], a["answer_start"] + len(a["text"]), "") for a in example["answers"]]
    said = [] if row.get("start") is None else [Mark(row["start"], row["end"], "")]
    return pieces(example["context"], gold, said)


def in_brackets(found: Sequence[Mapping[str, Any]]) -> str:
    """Pieces as plain text: `⟦gold LOC: New ⟪said PER: York⟫⟧`."""
    parts = []
    for number, piece in enumerate(found):
        after = found[number + 1] if number + 1 < len(found) else _plain("")
        if piece["right"]:
            label = f"right {piece['gold']}".strip()
            parts.append(f"⟦{label}: {piece['text']}⟧")
            continue
        for side, opening in (("gold", "⟦"), ("said", "⟪")):
            if piece[f"{side}_starts"]:
                parts.append(f"{opening}{f'{side} {piece[side]}'.strip()}: ")
        parts.append(piece["text"])
        for side, closing in (("said", "⟫"), ("gold", "⟧")):
            if piece[side] is not None and (after[side] is None or after[f"{side}_starts"]):
                parts.append(closing)
    return "".join(parts)


def _apart(marks: Sequence[Mark]) -> list[Mark]:
    kept: list[Mark] = []
    for mark in marks:
        if all(mark.end <= one.start or one.end <= mark.start for one in kept):
            kept.append(mark)
    return kept


def _window(text: str, marks: Sequence[Mark]) -> tuple[int, int]:
    """What is shown of a text: all of a short one, else what is near its first marks."""
    if len(text) <= _MOST:
        return 0, len(text)
    first = min((mark.start for mark in marks), default=0)
    near = [mark.end for mark in marks if mark.end <= first + _MOST - 2 * _REACH]
    start = max(0, first - _REACH)
    return start, min(len(text), max([*near, start + 2 * _REACH]) + _REACH, start + _MOST)


def _piece(text: str, start: int, end: int, golds: Sequence[Mark], saids: Sequence[Mark]) -> dict[str, Any]:
    gold, said = (next((m for m in marks if m.start <= start < m.end), None) for marks in (golds, saids))
    return {
        "text": _BREAK.sub(" ¶ ", text[start:end]),
        "gold": None if gold is None else gold.label,
        "said": None if said is None else said.label,
        "gold_starts": gold is not None and gold.start == start,
        "said_starts": said is not None and said.start == start,
        "right": gold is not None and gold == said,
    }


def _plain(text: str) -> dict[str, Any]:
    return {"text": text, "gold": None, "said": None, "gold_starts": False, "said_starts": False, "right": False}
