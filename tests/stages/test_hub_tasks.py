"""Any data set of the Hub as a task: its kind, columns and names of labels are found, and its places are the Hub's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from bertkit import storage
from bertkit.config import build, parse_overrides
from bertkit.errors import ConfigError, DataError, HostError
from bertkit.stages.task_data import TaskDataConfig, task_data

LABELS = datasets.ClassLabel(names=["World", "Sports"])
Run = Callable[..., Any]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, datasets.Dataset]:
    """The splits of the data set that the Hub has, whatever its name."""
    splits: dict[str, datasets.Dataset] = {}

    def load_dataset(path: str, name: str | None, revision: str | None) -> datasets.DatasetDict:
        return datasets.DatasetDict(splits)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return splits


@pytest.fixture
def read(tmp_path: Path) -> Run:
    def run(*overrides: str, out: str = "out") -> Any:
        given = parse_overrides(["source.format=hub", "source.path=someone/news", *overrides])
        config = build(TaskDataConfig, given, name="task_data")
        return task_data.run(config, {}, tmp_path / out, task_data.identity(config, {}, storage.Digests()))

    return run


def texts(labels: list[int]) -> datasets.Dataset:
    columns = {"content": [f"text {i} of {len(labels)}" for i in range(len(labels))], "label": labels}
    return datasets.Dataset.from_dict(columns, datasets.Features(content=datasets.Value("string"), label=LABELS))


def test_labelled_texts_with_the_names_of_their_labels(hub: dict[str, Any], read: Run, tmp_path: Path) -> None:
    hub |= {"train": texts([0, 1] * 20), "dev": texts([1, 0, -1]), "test": texts([-1, -1])}
    made = read()
    assert (made.task["name"], made.task["labels"]) == ("news", ["World", "Sports"])
    assert made.task["counts"] == {"train": 40, "validation": 2}
    assert made.task["dropped"]["validation"] == {"unlabelled": 1}
    assert made.task["source"]["from"] == "Hugging Face Hub, someone/news"
    assert made.origin == {"hub": {"path": "someone/news"}}
    named = read("source.name=short", "source.revision=1a2b", out="named")
    assert named.origin == {"hub": {"path": "someone/news", "name": "short", "revision": "1a2b"}}
    assert next(iter(made.rows("train")))["where"] == "train.parquet: row 1"
    assert "/tmp" not in (tmp_path / "out" / "task.json").read_text()


def test_tags_and_questions_are_known_by_their_columns(hub: dict[str, Any], read: Run) -> None:
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"]))
    features = datasets.Features(tokens=datasets.List(datasets.Value("string")), ner_tags=tags)
    rows = {"tokens": [["Ada", f"met{i}"] for i in range(20)], "ner_tags": [[1, 0]] * 20}
    hub["train"] = datasets.Dataset.from_dict(rows, features)
    assert read().task["labels"] == ["O", "B-PER", "I-PER"]
    hub["train"] = datasets.Dataset.from_list(
        [
            {
                "question": "Where?",
                "context": f"{i} in Oslo",
                "answers": {"text": ["Oslo"], "answer_start": [len(f"{i} in ")]},
            }
            for i in range(20)
        ]
    )
    assert read(out="questions").task["kind"] == "spans"


def test_other_splits_and_columns_go_by_their_names(hub: dict[str, Any], read: Run) -> None:
    rows = datasets.Dataset.from_dict({"a": ["one", "two"] * 10, "stars": ["1.0", "2.5"] * 10})
    hub |= {"part_1": rows, "part_2": rows}
    made = read(
        "source.train=part_1",
        "source.test=part_2",
        "source.columns.text=a",
        "source.columns.label=stars",
        "source.options.problem_type=regression",
        "validation_percentage=0",
    )
    assert (made.task["problem_type"], made.task["counts"]) == ("regression", {"train": 20, "test": 20})


def test_what_cannot_be_used_is_told_by_the_name_on_the_hub(hub: dict[str, Any], read: Run) -> None:
    hub["train"] = datasets.Dataset.from_dict({"text": ["fine", " "], "label": ["a", "b"]})
    with pytest.raises(DataError, match="the text is empty") as caught:
        read("source.name=en")
    assert caught.value.where == "someone/news/en/train: row 2"
    with pytest.raises(DataError, match=r"has no split 'dev'; it has train") as caught:
        read("source.validation=dev")
    assert "source.validation" in str(caught.value.remedy)
    with pytest.raises(ConfigError, match="no_such_option: no such key"):
        read("source.options.no_such_option=1")


@pytest.mark.parametrize("status", [401, 429, 503])
def test_what_the_hub_refuses_is_not_the_datas_fault(monkeypatch: pytest.MonkeyPatch, read: Run, status: int) -> None:
    from types import SimpleNamespace

    from huggingface_hub.errors import HfHubHTTPError

    def refuse(*_: Any, **__: Any) -> None:
        answer: Any = SimpleNamespace(status_code=status, headers={}, request=None)
        raise HfHubHTTPError(f"{status} for https://ada:secret@hub/x with Bearer hf_{'A' * 30}", response=answer)

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(HostError, match=f"Hub answers {status}") as caught:
        read()
    assert "AAAA" not in str(caught.value)
    assert "secret" not in str(caught.value)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(HostError, match="No space left"):
        read()


def test_without_a_network_the_message_says_so(monkeypatch: pytest.MonkeyPatch, read: Run) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(HostError, match="Hub cannot be reached") as caught:
        read()
    assert "source.format=parquet" in str(caught.value.remedy)
    with pytest.raises(DataError, match="a path on this machine"):
        read("source.path=tests")
