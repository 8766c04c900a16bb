"""Scores of tagged sentences: strict entities as conlleval counts them, and where the mistakes are.

An entity is right if its type, first and last token are (Tjong Kim Sang and De Meulder 2003). Every number is a pure
function of the predictions: lines with `id`, and `gold` and `predicted`, a BIO tag for each token.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.tagging.schemes import Entity, read_tags
from bertkit.errors import DataError
from bertkit.evaluation.intervals import percentile_interval, resamples

Prediction = Mapping[str, Any]
Floats = NDArray[np.float64]


_WHY_NONE = {
    **dict.fromkeys(("f1", "macro_f1"), "there are no entities, gold or predicted"),
    "precision": "no entity is predicted",
    "recall": "there is no gold entity",
}


def score(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Every metric of tagging.

    Returns:
        `n` (sentences), `tokens`, `metrics` (`f1`, `precision`, `recall` over all entities, `macro_f1` over types,
        `accuracy` of tokens; None where undefined), `undefined` (name to reason), `per_type` (precision, recall, f1,
        support, predicted) and `errors`: how many entities are missed, spurious, have the right place and another
        type, or the right type and overlap the right place.

    Raises:
        DataError: there are none, an id stands twice, or tags are not as many as gold ones.
    """
    _check(predictions)
    gold = [read_tags(row["gold"], "bio").entities for row in predictions]
    said = [read_tags(row["predicted"], "bio").entities for row in predictions]
    counts = np.array([_counts(a, b) for a, b in zip(gold, said, strict=True)], dtype=np.float64)
    per_type = _per_type(gold, said)
    right, tokens = _token_counts(predictions).sum(0)
    precision, recall, f1 = (_number(value) for value in rates(counts.sum(0)))
    defined = [row["f1"] for row in per_type.values() if row["f1"] is not None]
    metrics = {
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "macro_f1": float(np.mean(defined)) if defined else None,
        "accuracy": float(right / tokens),
    }
    return {
        "n": len(predictions),
        "tokens": int(tokens),
        "metrics": metrics,
        "undefined": {name: _WHY_NONE[name] for name, value in metrics.items() if value is None},
        "per_type": per_type,
        "errors": _errors(gold, said),
    }


def score_intervals(
    predictions: Sequence[Prediction], *, confidence: float = 0.95, count: int = 1000, seed: int = 0
) -> dict[str, list[float] | None]:
    """The percentile bootstrap interval `[low, high]` of metrics, over sentences."""
    entities, tokens = example_counts(predictions)
    values: dict[str, list[Floats]] = {"f1": [], "precision": [], "recall": [], "accuracy": []}
    for drawn in resamples(len(predictions), count=count, seed=seed):
        precision, recall, f1 = rates(entities[drawn].sum(1))
        right, of = tokens[drawn].sum(1).T
        for name, column in (("f1", f1), ("precision", precision), ("recall", recall), ("accuracy", right / of)):
            values[name].append(column)
    ends = {name: percentile_interval(np.concatenate(parts), confidence=confidence) for name, parts in values.items()}
    return {name: None if pair is None else list(pair) for name, pair in ends.items()}


def example_counts(predictions: Sequence[Prediction]) -> tuple[Floats, Floats]:
    """Of each sentence: entities right, predicted and gold, (sentences, 3); tokens right and all, (sentences, 2)."""
    _check(predictions)
    entities = [
        _counts(read_tags(row["gold"], "bio").entities, read_tags(row["predicted"], "bio").entities)
        for row in predictions
    ]
    return np.array(entities, dtype=np.float64), _token_counts(predictions)


def _check(predictions: Sequence[Prediction]) -> None:
    if not predictions:
        raise DataError("there are no predictions to score")
    if twice := len(predictions) - len({row["id"] for row in predictions}):
        raise DataError(f"{twice} of {len(predictions)} predictions repeat an id")
    for row in predictions:
        if len(row["gold"]) != len(row["predicted"]):
            raise DataError(
                f"{row['id']!r} has {len(row['gold'])} gold tags and {len(row['predicted'])} predicted ones"
            )


def _counts(gold: Sequence[Entity], said: Sequence[Entity]) -> tuple[int, int, int]:
    """Entities that are right, predicted, and gold."""
    return len(set(gold) & set(said)), len(said), len(gold)


def rates(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 from (..., 3) counts; NaN where there is nothing to count."""
    right, said, gold = np.moveaxis(counts, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return right / said, right / gold, 2 * right / (said + gold)


def _token_counts(predictions: Sequence[Prediction]) -> Floats:
    """Right tokens and tokens of each sentence."""
    return np.array(
        [
            (sum(a == b for a, b in zip(row["gold"], row["predicted"], strict=True)), len(row["gold"]))
            for row in predictions
        ],
        dtype=np.float64,
    )


def _per_type(gold: Sequence[Sequence[Entity]], said: Sequence[Sequence[Entity]]) -> dict[str, dict[str, Any]]:
    right: Counter[str] = Counter()
    for a, b in zip(gold, said, strict=True):
        right.update(entity.type for entity in set(a) & set(b))
    golds = Counter(entity.type for sentence in gold for entity in sentence)
    saids = Counter(entity.type for sentence in said for entity in sentence)
    table = {}
    for kind in sorted(golds | saids):
        found = rates(np.array([right[kind], saids[kind], golds[kind]], dtype=np.float64))
        names = ("precision", "recall", "f1")
        table[kind] = {
            **{name: _number(value) for name, value in zip(names, found, strict=True)},
            "support": golds[kind],
            "predicted": saids[kind],
        }
    return table


def _errors(gold: Sequence[Sequence[Entity]], said: Sequence[Sequence[Entity]]) -> dict[str, int]:
    """What became of the entities that are not right; a gold one is told by the wrong one that comes nearest to it."""
    found = Counter({"type": 0, "boundary": 0, "type_and_boundary": 0, "missed": 0, "spurious": 0})
    for a, b in zip(gold, said, strict=True):
        wrong = [entity for entity in b if entity not in set(a)]
        for entity in a:
            if entity in set(b):
                continue
            found[_nearest(entity, wrong)] += 1
        found["spurious"] += sum(not any(_overlap(one, entity) for entity in a) for one in wrong)
    return dict(found)


def _nearest(entity: Entity, wrong: Sequence[Entity]) -> str:
    rivals = [one for one in wrong if _overlap(one, entity)]
    if any((one.start, one.end) == (entity.start, entity.end) for one in rivals):
        return "type"
    if any(one.type == entity.type for one in rivals):
        return "boundary"
    return "type_and_boundary" if rivals else "missed"


def _overlap(one: Entity, other: Entity) -> bool:
    return one.start < other.end and other.start < one.end


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
