"""The examples that went wrong, the most confident mistakes first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bertkit.data.tagging.schemes import read_tags
from bertkit.evaluation.spans import answer_scores
from bertkit.reporting import marked_text
from bertkit.reporting.scores import System
from bertkit.reporting.visible_text import excerpt

TEXT_LIMIT = 300
# Of the answers that a model ranked, so many are shown, each cut here.
_MOST_ANSWERS, _ANSWER_LIMIT = 5, 80
# Above this many labels a matrix is no longer read; the most frequent confusions are listed instead.
MOST_MATRIX_LABELS = 12
NO_ANSWER, NO_ENTITY, NO_LABEL = "no answer", "no entity", "no label"


def find(system: System, examples: Mapping[str, Mapping[str, Any]] | None, *, limit: int) -> dict[str, Any]:
    """The mistakes of a system over its seeds, as plain JSON.

    Args:
        examples: id to the row of the task's data with its `texts`; None where the report was not given it.
        limit: how many examples to show.

    Returns:
        `seeds`, `examples`; how many texts were wrong `in_all` seeds and `in_some`; the `shown` ones, ordered by the
        probability that their wrong answer got, averaged over all seeds.
    """
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for run in system.runs:
        for row in run.predictions:
            by_id.setdefault(str(row["id"]), []).append({**_as_labels(row, run.scores), "row": row})
    wrong = [found for id, rows in by_id.items() if (found := _mistake(id, rows))]
    wrong.sort(key=lambda mistake: (-mistake["weight"], mistake["id"]))
    seeds = len(system.runs)
    return {
        "model": system.name,
        "seeds": seeds,
        "examples": len(by_id),
        "in_all": sum(mistake["wrong_in"] == seeds for mistake in wrong),
        "in_some": sum(mistake["wrong_in"] < seeds for mistake in wrong),
        "texts_missing": None
        if examples is not None or system.runs[0].scores["kind"] == "tagging" or not limit
        else "the report was not given the task's data (input task_data)",
        "shown": [_shown(mistake, system.runs[0].scores["kind"], examples) for mistake in wrong[:limit]],
    }


def _as_labels(row: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, Any]:
    """A prediction of any kind with `gold` and `predicted` as one string each, and the `scores` of the latter."""
    if scores["kind"] == "tagging":
        found = [one["score"] for one in row["entities"]]
        said = _entities(row, "predicted")
        # A sentence is as sure as the least sure of its entities; without any, there is no saying.
        return {**row, "gold": _entities(row, "gold"), "predicted": said, "scores": {said: min(found, default=None)}}
    if scores["kind"] == "spans":
        golds, said = list(dict.fromkeys(row["gold"])), row["predicted"]
        exact = answer_scores(scores["scorer"])(said, golds)[0]
        gold = " / ".join(golds) or NO_ANSWER
        probability = row["n_best"][0]["probability"] if said and row["n_best"] else None
        shown = gold if exact else said or NO_ANSWER
        return {**row, "gold": gold, "predicted": shown, "scores": {shown: probability}}
    if isinstance(row["gold"], list):
        gold, said = (", ".join(row[side]) or NO_LABEL for side in ("gold", "predicted"))
        return {**row, "gold": gold, "predicted": said, "scores": {}}
    return dict(row)


def _entities(row: Mapping[str, Any], side: str) -> str:
    """The entities of a tagged sentence in words: `Paris (LOC), Ann Lee (PER)`."""
    found = read_tags(row[side], "bio").entities
    return ", ".join(f"{' '.join(row['tokens'][one.start : one.end])} ({one.type})" for one in found) or NO_ENTITY


def confusions(counts: Sequence[Sequence[float]], labels: Sequence[str], *, limit: int = 15) -> list[dict[str, Any]]:
    """The most frequent pairs of gold and wrongly predicted label, for tasks with too many labels for a matrix."""
    pairs: list[dict[str, Any]] = [
        {"gold": labels[i], "predicted": labels[j], "count": value, "of_gold": value / sum(row)}
        for i, row in enumerate(counts)
        for j, value in enumerate(row)
        if i != j and value
    ]
    return sorted(pairs, key=lambda pair: -pair["count"])[:limit]


def _mistake(id: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """One example's wrong answers over all seeds; None if there are none."""
    wrong = [row for row in rows if row["predicted"] != row["gold"]]
    if not wrong:
        return None
    answers = Counter(str(row["predicted"]) for row in wrong)
    # The first of equally frequent answers, as the rows come by seed.
    predicted = answers.most_common(1)[0][0]
    given = [_probability(row) for row in wrong if row["predicted"] == predicted]
    known = [p for p in given if p is not None]
    return {
        "id": id,
        "gold": str(rows[0]["gold"]),
        "predicted": predicted,
        "also_predicted": [answer for answer in answers if answer != predicted],
        "probability": sum(known) / len(known) if known else None,
        "wrong_in": len(wrong),
        "row": next(row["row"] for row in wrong if str(row["predicted"]) == predicted),
        "weight": sum(_probability(row) or 0.0 for row in wrong) / len(rows),
    }


def _probability(row: Mapping[str, Any]) -> float | None:
    """What the predicted label was given."""
    value = (row.get("scores") or {}).get(row["predicted"])
    return None if value is None else float(value)


def _shown(mistake: dict[str, Any], kind: str, examples: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    """A mistake with its text, the `pieces` of it that are gold or predicted, and the answers that came next."""
    row, example = mistake.pop("row"), (examples or {}).get(mistake["id"])
    text = " ⏎ ".join(example["texts"]) if example else None
    shown: dict[str, Any] = {
        "text": None if text is None else excerpt(text, limit=TEXT_LIMIT),
        "pieces": [],
        "question": None,
    }
    shown |= {"characters": None if text is None else len(text), "n_best": []}
    if kind == "tagging":
        pieces = marked_text.of_sentence(row)
        sentence = "".join(piece["text"] for piece in pieces)
        shown |= {
            "pieces": pieces,
            "text": shown["text"] or sentence,
            "characters": shown["characters"] or len(sentence),
        }
    if kind == "spans":
        shown["n_best"] = [
            {"text": excerpt(one["text"], limit=_ANSWER_LIMIT), "probability": one["probability"]}
            for one in row["n_best"][:_MOST_ANSWERS]
        ]
    if kind == "spans" and example:
        shown |= {"pieces": marked_text.of_answer(row, example), "question": example["texts"][0]}
    return {**mistake, **shown}
