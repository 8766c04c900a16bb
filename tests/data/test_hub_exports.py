"""Parquet files as the Hugging Face Hub has them: numbers for labels and tags, whose names the file tells."""

from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from bertkit.data import tasks
from bertkit.data.spans import task as spans
from bertkit.data.tagging import task as tagging
from bertkit.errors import DataError
from bertkit.stages.task_inspection import inspect_file

TAGS = ["O", "B-PER", "I-PER"]
NAMES = ClassLabel(names=TAGS)


@pytest.fixture(autouse=True)
def quiet() -> Any:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def export(path: Path, rows: list[dict[str, Any]], **features: Any) -> Path:
    Dataset.from_list(rows, features=Features(features)).to_parquet(path)
    return path


def tagged(path: Path, tags: Any, names: Any = NAMES) -> Path:
    rows = [{"tokens": ["Ada", "Lovelace", "wrote"], "ner_tags": tags}]
    return export(path, rows, tokens=List(Value("string")), ner_tags=List(names))


def test_labels_have_their_names(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": i % 2} for i in range(4)]
    path = export(tmp_path / "a.parquet", rows, text=Value("string"), label=ClassLabel(names=["neg", "pos"]))
    columns = {"text": "text", "label": "label"}
    data = tasks.read_files({"train": path}, format="parquet", columns=columns)
    assert [example.label for example in data.splits["train"]] == ["neg", "pos", "neg", "pos"]
    data = tasks.read_files({"train": path}, format="parquet", columns=columns, label_names=["bad", "good"])
    assert {example.label for example in data.splits["train"]} == {"bad", "good"}


def test_tags_have_their_names(tmp_path: Path) -> None:
    path = tagged(tmp_path / "a.parquet", [1, 2, 0])
    columns = {"tokens": "tokens", "tags": "ner_tags"}
    data = tagging.read_files({"train": path}, format="tagged_parquet", columns=columns)
    assert data.splits["train"][0].tags == ["B-PER", "I-PER", "O"]
    found = inspect_file(path, {})
    assert (found["format"], found["read_as"], found["entities"]) == ("tagged_parquet", columns, {"PER": 1})


def test_numbers_without_names_are_refused_until_they_are_told(tmp_path: Path) -> None:
    path = tagged(tmp_path / "a.parquet", [1, 2, 0], Value("int64"))
    options: dict[str, Any] = {"format": "tagged_parquet", "columns": {"tokens": "tokens", "tags": "ner_tags"}}
    with pytest.raises(DataError, match="not a list of strings") as caught:
        tagging.read_files({"train": path}, **options)
    assert "source.tag_names=" in str(caught.value.remedy)
    data = tagging.read_files({"train": path}, **options, tag_names=TAGS)
    assert data.splits["train"][0].tags == ["B-PER", "I-PER", "O"]
    with pytest.raises(DataError, match="tag 2 has no name: there are 2"):
        tagging.read_files({"train": path}, **options, tag_names=TAGS[:2])


def test_questions(tmp_path: Path) -> None:
    rows = [
        {"id": "q1", "context": "Hot soup.", "question": "What?", "answers": {"text": ["soup"], "answer_start": [4]}},
        {"id": "q2", "context": "Hot soup.", "question": "Why?", "answers": {"text": [], "answer_start": []}},
    ]
    text, answers = Value("string"), {"text": List(Value("string")), "answer_start": List(Value("int32"))}
    path = export(tmp_path / "a.parquet", rows, id=text, context=text, question=text, answers=answers)
    columns = {"question": "question", "context": "context", "answers": "answers", "id": "id"}
    data = spans.read_files({"train": path}, format="span_parquet", columns=columns)
    assert [(q.id, q.answers) for q in data.splits["train"]] == [
        ("q1", [{"text": "soup", "answer_start": 4}]),
        ("q2", []),
    ]
    assert data.scorer == "squad_v2"
    assert inspect_file(path, {})["format"] == "span_parquet"
