"""Fine-tuning by every trick at once: it goes on from a checkpoint to the bit, and refuses what would do nothing."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from stage_runs import random_bert, run

from bertkit import storage
from bertkit.artifacts import Checkpoint, Model, TaskData
from bertkit.config import build, parse_overrides
from bertkit.errors import ConfigError
from bertkit.stages.finetune import FinetuneConfig, finetune
from bertkit.stages.session import Session
from bertkit.stages.task_data import TaskDataConfig, task_data

WORDS = ["soup", "bread", "boat", "wind", "star", "moon", "old", "new"]
SMALL = [
    *("max_seq_length=16", "train_batch_size=8", "num_train_epochs=3", "learning_rate=3e-3", "eval_steps=2"),
    *("micro_batch_size=4", "device=cpu", "num_threads=1", "peak_flops=1e9", "early_stopping_patience=null"),
]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A BERT with random weights as a Hugging Face folder."""
    return random_bert(tmp_path_factory.mktemp("start"), WORDS, layers=2, spread=0.3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """Texts that say whether a boat is among them."""
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(2, 9))) for _ in range(60)]
    rows = [{"text": text, "label": "yes" if "boat" in text else "no"} for text in dict.fromkeys(texts)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = ["source.format=jsonl", f"source.train={folder / 'rows.jsonl'}", "validation_percentage=30"]
    made: TaskData = run(task_data, TaskDataConfig, folder / "task", *source)
    return made


@pytest.fixture
def everything(tmp_path: Path) -> list[str]:
    (tmp_path / "synonyms.tsv").write_text("soup\tbread\nold\tnew\n")
    return [
        *("loss.type=focal", "loss.class_weights=balanced"),
        *("regularization.l1=1e-5", "regularization.l2_sp=1e-3", "regularization.input_noise=0.05"),
        *("regularization.weight_noise=0.01", "regularization.mixout=0.2", "regularization.max_norm=2"),
        *("regularization.r_drop=0.5", "adversarial.method=freelb", "adversarial.steps=2"),
        *("layers.learning_rate_decay=0.9", "layers.head_learning_rate=1e-2", "layers.unfreeze_steps=epoch"),
        *("augmentation.swap=0.1", "augmentation.delete=0.2", f"augmentation.synonyms={tmp_path / 'synonyms.tsv'}"),
        "ema_decay=0.9",
    ]


def result(model: Model) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The weights, and the log without timings."""
    rows = [json.loads(line) for line in (model.path / "log.jsonl").read_text().splitlines()]
    timings = ("seconds", "_per_second", "mfu")
    return load_file(model.path / "model.safetensors"), [
        {key: value for key, value in row.items() if not key.endswith(timings)} for row in rows
    ]


class Cut(Exception):  # noqa: N818
    pass


def test_a_run_with_everything_goes_on_from_a_checkpoint_to_the_bit(
    start: Checkpoint, data: TaskData, everything: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*SMALL, *everything]
    whole = result(run(finetune, FinetuneConfig, tmp_path / "whole", *options, data=data, start=start))
    saved = Session.save

    def save_and_die(self: Session) -> None:
        saved(self)
        if self.step == 6:
            raise Cut

    monkeypatch.setattr(Session, "save", save_and_die)
    with pytest.raises(Cut):
        run(finetune, FinetuneConfig, tmp_path / "cut", *options, data=data, start=start)
    monkeypatch.setattr(Session, "save", saved)
    again = result(run(finetune, FinetuneConfig, tmp_path / "cut", *options, data=data, start=start))
    assert len(whole[1]) > 3
    assert again[1] == whole[1]
    assert whole[0].keys() == again[0].keys()
    assert all(torch.equal(whole[0][name], again[0][name]) for name in whole[0])


def test_augmented_texts_are_what_is_learnt_from_and_not_what_is_measured_on(
    start: Checkpoint, data: TaskData, tmp_path: Path
) -> None:
    options = [*SMALL, "dropout=0", "max_steps=6"]
    plain = result(run(finetune, FinetuneConfig, tmp_path / "a", *options, data=data, start=start))
    more = "augmentation.delete=0.5"
    other = result(run(finetune, FinetuneConfig, tmp_path / "b", *options, more, data=data, start=start))
    assert plain[1] != other[1]
    told = [json.loads((tmp_path / name / "predictor.json").read_text())["encoded"] for name in ("a", "b")]
    assert told[0] == told[1]


def test_frozen_layers_are_the_starts_and_the_model_is_whole(start: Checkpoint, data: TaskData, tmp_path: Path) -> None:
    model = run(
        finetune,
        FinetuneConfig,
        tmp_path / "out",
        *SMALL,
        "layers.freeze_layers=1",
        "max_steps=4",
        data=data,
        start=start,
    )
    before, after = load_file(start.path / "model.safetensors"), load_file(model.path / "model.safetensors")
    for name, value in after.items():
        frozen = "embeddings" in name or "layer.0." in name
        assert name not in before or torch.equal(value, before[name]) == frozen, name
    assert model.read_json("predictor.json")["parameters"] == sum(value.numel() for value in after.values())


def test_the_content_of_the_synonyms_counts_and_their_place_does_not(tmp_path: Path) -> None:
    def identity(name: str, content: str) -> Any:
        path = tmp_path / name / "synonyms.tsv"
        path.parent.mkdir()
        path.write_text(content)
        config = build(FinetuneConfig, parse_overrides([f"augmentation.synonyms={path}"]))
        return finetune.identity(config, {}, storage.Digests())

    assert identity("a", "film\tmovie\n") == identity("b", "film\tmovie\n") != identity("c", "film\tpicture\n")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss.type=mse", "loss.label_smoothing=0.1"], "label_smoothing: not read by the loss mse"),
        (["loss.type=cross_entropy", "loss.gamma=1"], "gamma: not read by the loss cross_entropy"),
        (["adversarial.method=fgm", "adversarial.steps=3"], "steps: not read by the method fgm"),
        (["adversarial.epsilon=1"], "adversarial.method: is required"),
        (["augmentation.probability=0.5"], "augmentation needs swap, delete or synonyms"),
        (["augmentation.swap=0.1", "augmentation.replace=0.2"], "replace: not read without synonyms"),
        (["regularization.mixout=1.0"], "less than 1"),
        (["regularization.l3=1.0"], "no such key"),
        (["layers.unfreeze_steps=0"], "unfreeze_steps"),
    ],
)
def test_options_that_nothing_reads_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(FinetuneConfig, parse_overrides(overrides), name="finetune")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("layers.freeze_layers=3", "freeze_layers is 3, and the model has 2 layers"),
        ("loss.type=huber", "'huber' does not fit single_label_classification"),
        ("loss.class_weights={maybe: 2}", "names 'maybe', which is none of the task's labels"),
    ],
)
def test_options_that_do_not_fit_model_or_task_are_refused(
    option: str, message: str, start: Checkpoint, data: TaskData, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(finetune, FinetuneConfig, tmp_path / "out", *SMALL, option, data=data, start=start)
