"""Where answers are found and where not: by question word, by length, and over thresholds of no answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertkit.evaluation.spans import answer_scores
from bertkit.reporting import slices
from bertkit.reporting.scores import System

_THRESHOLDS = 60
_ENGLISH = re.compile(r"\b(who|whom|whose|what|when|where|which|why|how (?:many|much|long|old|far|often)|how)\b", re.I)
_SAME = {"whom": "who", "whose": "who"}
_CHINESE = (
    ("为什么", ("为什么", "為什麼", "为何", "為何")),
    ("什么时候", ("什么时候", "什麼時候", "何时", "何時", "哪年", "哪一年", "几月")),
    ("谁", ("谁", "誰")),
    ("多少", ("多少", "几", "幾", "多大", "多长", "多長")),
    ("哪", ("哪", "何地", "何处", "何處")),
    ("怎么", ("怎么", "怎麼", "怎样", "怎樣", "如何")),
    ("什么", ("什么", "什麼", "何")),
)
OTHER = "other"


def analyse(system: System, examples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The best system's exact match and F1 in parts of the test set, averaged over seeds, as plain JSON.

    Args:
        examples: id to the row of the task's data; empty where the report was not given it.
    """
    scorer = system.runs[0].scores["scorer"]
    compare = answer_scores(scorer)
    rows = system.runs[0].predictions
    values = np.mean(
        [[compare(row["predicted"], row["gold"]) for row in run.predictions] for run in system.runs], axis=0
    )
    scores = {"exact_match": values[:, 0], "f1": values[:, 1]}
    answers = slices.by_name(["has an answer" if row["gold"] else "has none" for row in rows])
    parts = [slices.mean_of_each("answer", answers, scores)]
    parts.append(
        _by_length("length of answer, characters", [min(map(len, row["gold"]), default=0) for row in rows], scores)
    )
    known = [examples.get(str(row["id"])) for row in rows]
    if all(known):
        words = slices.by_name([question_word(str(one["question"])) for one in known if one])
        parts.insert(0, slices.mean_of_each("question word", words, scores))
        lengths = [_length(one["context"]) for one in known if one]
        parts.append(_by_length("length of context, characters", lengths, scores))
    return {
        "model": system.name,
        "seeds": len(system.runs),
        "slices": [part for part in parts if part],
        "threshold": _threshold_curve(rows, scorer) if scorer == "squad_v2" else None,
    }


def question_word(question: str) -> str:
    """What a question asks for: `who`, `how many`, `什么`; of English words the first that stands there."""
    if found := _ENGLISH.search(question):
        word = found[0].lower()
        return _SAME.get(word, word)
    return next((name for name, signs in _CHINESE if any(sign in question for sign in signs)), OTHER)


def _by_length(by: str, lengths: Sequence[int], scores: Mapping[str, slices.Floats]) -> dict[str, Any] | None:
    return slices.mean_of_each(by, slices.by_size(lengths), scores)


def _length(context: Any) -> int:
    return len(context) if isinstance(context, str) else sum(map(len, context))


def _threshold_curve(rows: Sequence[Mapping[str, Any]], scorer: Any) -> dict[str, Any] | None:
    """F1 of the first seed over thresholds of no answer, and between which scores the one that was used lies."""
    compare = answer_scores(scorer)
    found = [(row, row["n_best"][0]) for row in rows if row["n_best"]]
    if len(found) < len(rows) or not found:
        return None
    best = np.array([span["score"] for _, span in found])
    given = np.array([compare(span["text"], row["gold"])[1] for row, span in found])
    silent = np.array([compare("", row["gold"])[1] for row in rows])
    levels = np.quantile(best, np.linspace(0, 1, _THRESHOLDS))
    points = [[float(level), float(np.where(best > level, given, silent).mean())] for level in np.unique(levels)]
    used = [span["score"] for row, span in found if row["predicted"]]
    return {"points": points, "lowest_answered": min(used, default=None)}
