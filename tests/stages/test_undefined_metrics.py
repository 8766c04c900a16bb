"""Fine-tuning where a measurement has no value: the model's fault costs the measurement, the data's the run."""

import json
from pathlib import Path
from typing import Any

import pytest
from stage_runs import random_bert, run

from bertkit.artifacts import Checkpoint, Model, TaskData
from bertkit.errors import ConfigError, NumericError
from bertkit.kinds.classification import Classification
from bertkit.stages.finetune import FinetuneConfig, finetune
from bertkit.stages.session import Session
from bertkit.stages.task_data import TaskDataConfig, task_data

WORDS = ["soup", "bread", "boat", "wind", "star", "moon"]
SMALL = [
    *("max_seq_length=12", "train_batch_size=8", "max_steps=6", "eval_steps=2", "learning_rate=5e-3"),
    *("device=cpu", "num_threads=1", "peak_flops=1e9"),
]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return random_bert(tmp_path_factory.mktemp("start"), WORDS)


def numbers(folder: Path, *, validation: list[float] | None = None) -> TaskData:
    rows = [{"text": f"{a} {b}", "label": float(i)} for i, a in enumerate(WORDS) for b in WORDS]
    values = validation or [1.0, 2.0, 3.0, 4.0]
    files = {"train": rows, "validation": [{"text": f"{WORDS[i]} soup boat", "label": v} for i, v in enumerate(values)]}
    for name, content in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    source = [f"source.{name}={folder / f'{name}.jsonl'}" for name in files]
    options = ["source.format=jsonl", "source.problem_type=regression"]
    made: TaskData = run(task_data, TaskDataConfig, folder / "data", *options, *source)
    return made


@pytest.fixture
def all_alike(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The measurements, from 1, at which the model predicts the same for every text."""
    predictions, chosen, counted = Classification.predictions, set(), [0]

    def predict(self: Classification, *given: Any) -> list[dict[str, Any]]:
        counted[0] += 1
        lines = predictions(self, *given)
        return [{**line, "predicted": 0.5} for line in lines] if counted[0] in chosen else lines

    monkeypatch.setattr(Classification, "predictions", predict)
    return chosen


def test_a_measurement_at_which_all_is_predicted_alike_is_never_the_best(
    start: Checkpoint, all_alike: set[int], tmp_path: Path
) -> None:
    data = numbers(tmp_path)
    all_alike |= {1, 3}
    model: Model = run(finetune, FinetuneConfig, tmp_path / "model", *SMALL, data=data, start=start)
    predictor = model.read_json("predictor.json")
    log = [json.loads(line) for line in (model.path / "log.jsonl").read_text().splitlines()]
    measured = {row["step"]: row for row in log if "eval_mse" in row}
    assert [step for step, row in measured.items() if "eval_spearmanr" in row] == [4]
    assert (predictor["best_step"], predictor["best_metric"]) == (4, measured[4]["eval_spearmanr"])


def test_a_run_goes_on_from_a_checkpoint_without_a_value(
    start: Checkpoint, all_alike: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = numbers(tmp_path)
    all_alike.add(1)
    saved = Session.save

    def save_and_die(self: Session) -> None:
        saved(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        run(finetune, FinetuneConfig, tmp_path / "model", *SMALL, data=data, start=start)
    monkeypatch.setattr(Session, "save", saved)
    model: Model = run(finetune, FinetuneConfig, tmp_path / "model", *SMALL, data=data, start=start)
    assert model.read_json("predictor.json")["best_step"] in (4, 6)


def test_a_model_that_never_has_a_value_has_failed_by_its_numbers(
    start: Checkpoint, all_alike: set[int], tmp_path: Path
) -> None:
    data = numbers(tmp_path)
    all_alike |= {1, 2, 3}
    with pytest.raises(NumericError, match="spearmanr had no value at any measurement: every predicted number is the"):
        run(finetune, FinetuneConfig, tmp_path / "model", *SMALL, data=data, start=start)


@pytest.mark.parametrize(("metric", "has"), [("accuracy", "spearmanr"), ("spearman", "spearmanr")])
def test_a_metric_that_the_task_has_not_ends_the_run_at_once(
    start: Checkpoint, tmp_path: Path, metric: str, has: str
) -> None:
    data = numbers(tmp_path)
    with pytest.raises(ConfigError, match=rf"'{metric}' has no value on the validation split\n.*{has}"):
        run(
            finetune,
            FinetuneConfig,
            tmp_path / "model",
            *SMALL,
            f"metric_for_best_model={metric}",
            data=data,
            start=start,
        )


def test_a_model_that_gives_no_numbers_is_no_fault_of_the_data(start: Checkpoint, tmp_path: Path) -> None:
    data = numbers(tmp_path)
    wild = ["optim=sgd", "learning_rate=1e30", "warmup_steps=0", "max_steps=1"]
    with pytest.raises(NumericError, match="step 1: measured on held-out rows, loss is nan"):
        run(finetune, FinetuneConfig, tmp_path / "model", *SMALL, *wild, data=data, start=start)
