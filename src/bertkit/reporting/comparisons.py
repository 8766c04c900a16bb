"""What the scores say, in sentences that claim no more than the test examples can show."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from bertkit.errors import DataError
from bertkit.evaluation.intervals import PairedDifference, paired_difference
from bertkit.evaluation.metric_sums import is_known
from bertkit.evaluation.paired import paired_metric_difference
from bertkit.reporting import numbers
from bertkit.reporting.scores import Scoreboard, System, setting_differences


def compare(board: Scoreboard) -> list[dict[str, Any]]:
    """The best system against each of the others, as plain JSON with a `claim` and its `detail`; then what pretraining did
    to one that is not the best.

    The comparison is of the primary metric; of accuracy, where labels are scored by one that cannot be resampled.
    """
    best, *others = board.systems
    pretraining = [(a, b) for a, b in combinations(others, 2) if _of_pretraining(a, b)]
    return [_compare(board, *pair) for pair in [*((best, other) for other in others), *pretraining]]


def majority(counts: Sequence[Sequence[float]] | None, labels: Sequence[str]) -> dict[str, Any] | None:
    """The most frequent gold label and its share: what always answering it would score.

    Args:
        counts: confusion matrix, rows gold; None where there is none.
    """
    if not counts or not any(map(sum, counts)):
        return None
    support = [sum(row) for row in counts]
    top = max(range(len(labels)), key=lambda i: support[i])
    return {"label": labels[top], "share": support[top] / sum(support)}


def headlines(task: dict[str, Any]) -> list[dict[str, Any]]:
    """What to say first about a task, as `claim` and `detail`: what pretraining did and who is best, or the one score."""
    compared: list[dict[str, Any]] = [c for c in task["comparisons"] if c["claim"]]
    if compared:
        pretraining = next((c for c in compared if c["varied"] == ["init"]), compared[0])
        said = [pretraining] if pretraining is compared[0] else [pretraining, compared[0]]
        return [{"claim": c["claim"], "detail": c["detail"]} for c in said]
    best, primary = task["systems"][0], task["primary"]
    value = best["metrics"].get(primary, {}).get("mean")
    interval = _interval(primary, best["interval"])
    detail = f"{best['model']}{interval}, {_examples(task['n'], task['split'], task['kind'])} of {task['name']}."
    return [{"claim": f"{_score(primary, value)} {numbers.title(primary)}", "detail": detail}]


def warnings(task: dict[str, Any]) -> list[str]:
    """What a reader should know before believing the scores."""
    found, base = [], task["majority"]
    if unlearnt := [system["model"] for system in task["systems"] if base and _unlearnt(system, task)]:
        are = "are" if len(unlearnt) > 1 else "is"
        then = ": a comparison says little" if len(task["systems"]) > 1 else ""
        found.append(
            f"{' and '.join(unlearnt)} {are} no better, within the interval, than always answering “{base['label']}” "
            f"({numbers.share(base['share'])} of the texts){then}."
        )
    if len({len(system["seeds"]) for system in task["systems"]}) > 1:
        found.append("The models were not run with the same number of seeds.")
    return found


def _unlearnt(system: dict[str, Any], task: dict[str, Any]) -> bool:
    """Whether the accuracy, or its interval's lower end, is no higher than the most frequent label's share."""
    interval = system["interval"] if task["primary"] == "accuracy" else None
    low = interval[0] if interval else system["metrics"].get("accuracy", {}).get("mean")
    return low is not None and low <= task["majority"]["share"]


def _compare(board: Scoreboard, best: System, other: System) -> dict[str, Any]:
    varied, pretraining = _varied(best, other), _of_pretraining(best, other)
    # What pretraining bought may be a loss; otherwise the better one comes first.
    first, second = (other, best) if pretraining and _init(other) == "pretrained" else (best, other)
    result: dict[str, Any] = {
        "first": first.name,
        "second": second.name,
        "varied": varied,
        "claim": None,
        "detail": None,
    }
    try:
        metric, found = _difference(board, first, second)
    except (DataError, KeyError) as e:
        return {**result, "missing": e.what if isinstance(e, DataError) else "the predictions are not single labels"}
    subject = "Pretraining" if pretraining else None
    return {
        **result,
        **{name: getattr(found, name) for name in ("n", "difference", "low", "high", "p_value", "significant")},
        "metric": metric,
        "values": [found.first, found.second],
        "claim": _claim(found, first.name, second.name, subject, _examples(found.n, board.split, board.kind), metric),
        "detail": _detail(found, first, second, board, metric),
    }


def _of_pretraining(a: System, b: System) -> bool:
    """Whether two systems differ in nothing but that one was pretrained."""
    return _varied(a, b) == ["init"] and {_init(a), _init(b)} == {"pretrained", "random"}


def _difference(board: Scoreboard, first: System, second: System) -> tuple[str, PairedDifference]:
    """The metric that two systems are compared by, and what came of it."""
    a, b = ([run.predictions for run in system.runs] for system in (first, second))
    labels = board.kind == "classification" and all(isinstance(row["gold"], str) for row in a[0])
    if labels and (board.primary == "accuracy" or not is_known(board.kind, a[0], board.primary)):
        return "accuracy", paired_difference(a, b)
    return board.primary, paired_metric_difference(a, b, board.primary, first.runs[0].scores)


def _claim(found: PairedDifference, first: str, second: str, subject: str | None, examples: str, metric: str) -> str:
    points = numbers.score(metric, abs(found.difference))
    amount = f"{points} points of {numbers.title(metric)}"
    if not found.significant:
        if subject:
            return f"{subject} made no difference that {examples} can show"
        return f"No difference between {first} and {second} that {examples} can show"
    if subject:
        return f"{subject} bought +{amount}" if found.difference > 0 else f"{subject} cost {amount}"
    winner, loser = (first, second) if found.difference > 0 else (second, first)
    return f"{winner} scored {amount} above {loser}"


def _detail(found: PairedDifference, first: System, second: System, board: Scoreboard, metric: str) -> str:
    a, b = (numbers.score(metric, value) for value in (found.first, found.second))
    unit = numbers.unit(metric)
    low, high, measured = (
        numbers.score(metric, value, sign=True) for value in (found.low, found.high, found.difference)
    )
    difference = "" if found.significant else f" Measured difference: {measured} points."
    return (
        f"{first.name} {a}{unit}, {second.name} {b}{unit} on {board.task}; 95\u00a0% interval of the difference "
        f"{low} to {high} points ({_examples(found.n, board.split, board.kind)}, {_seeds(first, second)}).{difference}"
    )


def _varied(a: System, b: System) -> list[str] | None:
    """The settings and inputs in which the first runs of two systems differ, their own seeds aside."""
    mine, yours = a.runs[0], b.runs[0]
    if mine.settings is None or yours.settings is None:
        return None
    return list(setting_differences(mine, yours))


def _init(system: System) -> Any:
    return (system.runs[0].settings or {}).get("init")


def _examples(n: int, split: str, kind: str) -> str:
    return numbers.plural(n, f"{split} {numbers.item(kind)}")


def _seeds(first: System, second: System) -> str:
    a, b = len(first.runs), len(second.runs)
    return f"{numbers.plural(a, 'seed')}{' each' if a == b else f' and {b}'}"


def _interval(metric: str, ends: Sequence[float] | None) -> str:
    return f", 95\u00a0% interval {numbers.score_range(metric, ends)}" if ends else ""


def _score(metric: str, value: float | None) -> str:
    return f"{numbers.score(metric, value)}{numbers.unit(metric) if value is not None else ''}"
