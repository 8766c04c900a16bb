"""Scores of answers as the publishers of SQuAD 1.1, SQuAD 2.0 and CMRC 2018 define them.

A pure function of the predictions: lines with `id`, `gold` (the texts of all answers, none where there is no answer),
`predicted` (a text, "" for no answer), and `n_best`, whose first has the best span's `text` and `score`.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bertkit.errors import DataError
from bertkit.evaluation.intervals import percentile_interval, resamples

Scorer = Literal["squad", "squad_v2", "cmrc"]
Prediction = Mapping[str, Any]
Floats = NDArray[np.float64]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
# Signs that CMRC 2018 leaves out of answers before it compares them; its list has no single `…`, only two as one item.
_CMRC_SIGNS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CMRC_CHARACTER = re.compile(r"([\u4e00-\u9fa5])")
# What is not Chinese is parted as in the Penn Treebank: signs stand alone, but not those within numbers and abbreviations.
_ALONE = r"\[\](){}<>;@#$%&?!\"«»„‘\u2012-\u2015"
_LAST = r"\.(?=[\"')\]}>]*[)\]}>\s]*$)"
_TREEBANK = re.compile(rf"[{_ALONE}]|\.{{2,}}|{_LAST}|,(?!\d)|(?:[^\s{_ALONE},.]|,(?=\d)|(?!{_LAST})\.(?!\.))+")
_CLITIC = re.compile(r"(?<=[^'])('(?:s|m|d|ll|re|ve)?|n't)$")


def normalize_answer(text: str) -> str:
    """SQuAD's: lower case, without punctuation, articles and extra white space."""
    kept = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", kept).split())


def squad_scores(predicted: str, golds: Sequence[str], *, version: Literal["squad", "squad_v2"]) -> tuple[float, float]:
    """Exact match and F1 (0 to 1) against the best of `golds`; 2.0 gives 1 where neither says anything."""
    if version == "squad_v2":
        golds = [gold for gold in golds if normalize_answer(gold)] or [""]
    said = normalize_answer(predicted)
    wanted = [normalize_answer(gold) for gold in golds]
    overlap = _overlap_f1_v2 if version == "squad_v2" else _overlap_f1
    return float(said in wanted), max(overlap(said.split(), gold.split()) for gold in wanted)


def _overlap_f1(said: list[str], gold: list[str]) -> float:
    same = sum((Counter(said) & Counter(gold)).values())
    return 2 * same / (len(said) + len(gold)) if same else 0.0


def _overlap_f1_v2(said: list[str], gold: list[str]) -> float:
    return float(said == gold) if not said or not gold else _overlap_f1(said, gold)


def cmrc_scores(predicted: str, golds: Sequence[str]) -> tuple[float, float]:
    """CMRC 2018's exact match and F1: Chinese characters and other words, by their longest common run.

    Words that are not Chinese are parted at signs and spaces.
    """
    said = cmrc_pieces(predicted)
    wanted = [cmrc_pieces(gold) for gold in golds]
    exact = any(_without_signs(predicted) == _without_signs(gold) for gold in golds)
    return float(exact), max(_run_f1(said, gold) for gold in wanted)


def cmrc_pieces(text: str) -> list[str]:
    """Chinese characters and words of other scripts, signs left out, in lower case."""
    found = []
    for part in _CMRC_CHARACTER.split(_without_signs(text)):
        for word in _TREEBANK.findall(part):
            found += [piece for piece in _CLITIC.split(word) if piece]
    return found


def _without_signs(text: str) -> str:
    return "".join(character for character in text.lower().strip() if character not in _CMRC_SIGNS)


def _run_f1(said: list[str], gold: list[str]) -> float:
    run = _longest_run(said, gold)
    return 2 * run / (len(said) + len(gold)) if run else 0.0


def _longest_run(one: list[str], other: list[str]) -> int:
    """The length of the longest run of pieces that stands in both."""
    best, before = 0, [0] * (len(other) + 1)
    for piece in one:
        row = [0] * (len(other) + 1)
        for j, rival in enumerate(other, 1):
            if piece == rival:
                row[j] = before[j - 1] + 1
                best = max(best, row[j])
        before = row
    return best


def answer_scores(scorer: Scorer) -> Callable[[str, Sequence[str]], tuple[float, float]]:
    """Exact match and F1 of one answer against the gold ones, which are none where there is no answer."""

    def score_one(predicted: str, golds: Sequence[str]) -> tuple[float, float]:
        if not golds and scorer != "squad_v2":
            return float(not predicted), float(not predicted)
        if scorer == "cmrc":
            return cmrc_scores(predicted, golds)
        return squad_scores(predicted, golds, version=scorer)

    return score_one


def score(predictions: Sequence[Prediction], *, scorer: Scorer) -> dict[str, Any]:
    """Every metric of answers, as shares from 0 to 1.

    Returns:
        `n`, `metrics` (`exact_match`, `f1`; where some question has no answer also `has_answer_*`, `no_answer_*`, and
        `best_f1`, `best_exact_match` over all thresholds on these predictions), `undefined`, `scorer`, `questions`
        (how many have an answer and how many none), and `best_thresholds`, at which the two best figures are reached.

    Raises:
        DataError: there are none, or an id stands twice.
    """
    exact, f1 = example_scores(predictions, scorer)
    answerable = np.array([bool(row["gold"]) for row in predictions])
    metrics: dict[str, float | None] = {"exact_match": float(exact.mean()), "f1": float(f1.mean())}
    thresholds: dict[str, float] = {}
    if not answerable.all():
        for name, chosen in (("has_answer", answerable), ("no_answer", ~answerable)):
            metrics[f"{name}_exact_match"] = float(exact[chosen].mean()) if chosen.any() else None
            metrics[f"{name}_f1"] = float(f1[chosen].mean()) if chosen.any() else None
        for place, name in enumerate(("best_exact_match", "best_f1")):
            thresholds[name], metrics[name] = best_threshold(predictions, scorer=scorer, by=place)
    return {
        "n": len(predictions),
        "metrics": metrics,
        "undefined": {name: "no question of this kind" for name, value in metrics.items() if value is None},
        "scorer": scorer,
        "questions": {"with_answer": int(answerable.sum()), "without_answer": int((~answerable).sum())},
        **({"best_thresholds": thresholds} if thresholds else {}),
    }


def score_intervals(
    predictions: Sequence[Prediction], *, scorer: Scorer, confidence: float = 0.95, count: int = 1000, seed: int = 0
) -> dict[str, list[float] | None]:
    """The percentile bootstrap interval `[low, high]` of `exact_match` and `f1`, over questions."""
    columns = dict(zip(("exact_match", "f1"), example_scores(predictions, scorer), strict=True))
    values: dict[str, list[Floats]] = {name: [] for name in columns}
    for drawn in resamples(len(predictions), count=count, seed=seed):
        for name, column in columns.items():
            values[name].append(column[drawn].mean(1))
    ends = {name: percentile_interval(np.concatenate(parts), confidence=confidence) for name, parts in values.items()}
    return {name: None if pair is None else list(pair) for name, pair in ends.items()}


def best_threshold(predictions: Sequence[Prediction], *, scorer: Scorer, by: int = 1) -> tuple[float, float]:
    """The threshold with the best exact match (`by` 0) or F1 (1), and that figure: an answer is given where its score
    is above the threshold.

    Every score is tried, exactly. Of thresholds that are as good, the lowest, midway between two scores.
    """
    compare = answer_scores(scorer)
    nothing: dict[str, Any] = {"text": "", "score": -1e9}
    spans: list[dict[str, Any]] = [row["n_best"][0] if row["n_best"] else nothing for row in predictions]
    given = np.array([compare(span["text"], row["gold"])[by] for span, row in zip(spans, predictions, strict=True)])
    silent = np.array([compare("", row["gold"])[by] for row in predictions])
    scores = np.array([span["score"] for span in spans], dtype=np.float64)
    order = np.argsort(scores, kind="stable")
    # Entry i: the i lowest scores are silent.
    totals = given.sum() + np.concatenate([[0.0], np.cumsum(silent[order] - given[order])])
    ranked = scores[order]
    parted = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    best = int(np.argmax(np.where(parted, totals, -1.0)))
    edges = np.concatenate([[ranked[0] - 1], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1] + 1]])
    return float(edges[best]), float(totals[best] / len(predictions))


def example_scores(predictions: Sequence[Prediction], scorer: Scorer) -> tuple[Floats, Floats]:
    """Exact match and F1 of each prediction."""
    if not predictions:
        raise DataError("there are no predictions to score")
    if twice := len(predictions) - len({row["id"] for row in predictions}):
        raise DataError(f"{twice} of {len(predictions)} predictions repeat an id")
    compare = answer_scores(scorer)
    found = np.array([compare(row["predicted"], row["gold"]) for row in predictions], dtype=np.float64)
    return found[:, 0], found[:, 1]
