"""Everything a report says as one plain dictionary, `report.json`; the pages are pure functions of it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertkit.artifacts import Checkpoint, Corpus, Metrics, Model, PretrainData, TaskData, Tokenizer, WordVectors
from bertkit.reporting import (
    accounts,
    attention_examples,
    comparisons,
    details,
    mistakes,
    pipeline_picture,
    scores,
    vector_views,
)


def collect(
    metrics: Sequence[Metrics],
    *,
    pretrain: Sequence[Checkpoint] = (),
    corpus: Sequence[Corpus] = (),
    tokenizer: Sequence[Tokenizer] = (),
    pretrain_data: Sequence[PretrainData] = (),
    task_data: Sequence[TaskData] = (),
    models: Sequence[Model] = (),
    vectors: Sequence[WordVectors] = (),
    title: str | None = None,
    examples: int = 12,
    attention: int = 0,
) -> dict[str, Any]:
    """Gather scores, curves, mistakes and counts.

    Args:
        title: of the page; by default, made of the tasks' names.
        examples: how many wrong examples to show for each task.
        attention: of how many texts of each task to draw what its best model looks at, where that has attention.

    Raises:
        DataError: two runs of what looks like one model have the same seed.
    """
    by_fingerprint = {model.fingerprint: model for model in models}
    runs = [scores.read_run(one, by_fingerprint) for one in metrics]
    data = {one.fingerprint: one for one in task_data}
    folders = {one.fingerprint: _folder(one, by_fingerprint) for one in metrics}
    tasks = [
        _task(board, data.get(board.data or ""), examples, folders, attention) for board in scores.scoreboards(runs)
    ]
    names = ", ".join(dict.fromkeys(task["name"] for task in tasks))
    made = accounts.made([*corpus, *tokenizer, *pretrain_data, *pretrain, *task_data, *vectors, *models, *metrics])
    report = {
        "title": title or f"Report on {names}",
        "tasks": tasks,
        "pretraining": [accounts.pretraining(one) for one in pretrain],
        "data": {
            "corpora": [accounts.corpus(one) for one in corpus],
            "tokenizers": [accounts.tokenizer(one) for one in tokenizer],
            "token_stores": [accounts.token_store(one) for one in pretrain_data],
            "tasks": [accounts.task(one) for one in task_data],
        },
        "fine_tuning": [accounts.fine_tuning(one) for one in models],
        "made": made,
        "pipeline": pipeline_picture.steps(made),
        "vectors": [vector_views.look(one) for one in vectors],
    }
    finite: dict[str, Any] = _finite(report)
    return finite


def _folder(metrics: Metrics, models: Mapping[str, Model]) -> Path | None:
    """Where the model lies that was scored; None where the report was not given it."""
    model = models.get(str(metrics.manifest.get("identity", {}).get("inputs", {}).get("model")))
    return model.path if model else None


def _task(
    board: scores.Scoreboard, data: TaskData | None, examples: int, folders: Mapping[str, Path | None], attention: int
) -> dict[str, Any]:
    systems = [scores.describe(system, board) for system in board.systems]
    rows = {str(row["id"]): _with_texts(row, data) for row in data.rows(board.split)} if data else {}
    # A predicted number is hardly ever right to the last digit: there are no mistakes to list, but the worst ones.
    are_answers = (
        board.kind != "vectors"
        and board.systems[0].runs[0].predictions
        and not isinstance(board.systems[0].runs[0].predictions[0].get("gold"), float | int | None)
    )
    best = board.systems[0]
    wrong = mistakes.find(best, rows if data else None, limit=examples) if are_answers else None
    shown, folder = wrong["shown"] if wrong else [], folders.get(best.runs[0].fingerprint)
    task: dict[str, Any] = {
        "name": board.task,
        "kind": board.kind,
        "split": board.split,
        "data": board.data,
        "n": board.n,
        "primary": board.primary,
        "labels": board.labels,
        "systems": systems,
        "majority": comparisons.majority(systems[0]["confusion"], board.labels),
        "comparisons": comparisons.compare(board),
        "details": details.analyse(board, rows, limit=examples),
        "mistakes": wrong,
        "attention": attention_examples.look(best, folder, shown, rows, limit=attention),
    }
    return {**task, "headlines": comparisons.headlines(task), "warnings": comparisons.warnings(task)}


def _with_texts(row: dict[str, Any], data: TaskData) -> dict[str, Any]:
    """A row with its `texts`: both of a pair; of a question, it and what is around the first answer."""
    if data.task["kind"] == "spans":
        return {**row, "texts": [str(row["question"]), _around(row)]}
    return {**row, "texts": [str(row[name]) for name in data.task.get("text_columns", ["text"])]}


def _around(row: Mapping[str, Any], *, reach: int = 100) -> str:
    """The context near its first answer, or its beginning."""
    place = row["answers"][0]["answer_start"] if row["answers"] else 0
    start = max(0, place - reach)
    return ("…" if start else "") + str(row["context"])[start : start + 3 * reach]


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null, which the pages show as a dash."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
