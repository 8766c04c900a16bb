"""A step is the same however its batch is divided, and a run can be cut anywhere."""

from dataclasses import astuple
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from bertkit.data.batching import START, Position
from bertkit.data.encoding import EncodedTexts, encode_texts
from bertkit.data.pretraining import SpecialIds
from bertkit.errors import NumericError
from bertkit.models import bert, classification
from bertkit.training import checkpoints, optimizers
from bertkit.training.loop import evaluate, train_steps

LABELS = ["a", "b", "c"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    bert.save(bert.new_pretraining_model(sizes, vocab_size=60, pad_token_id=0, seed=1), folder)
    return folder


@pytest.fixture(scope="module")
def texts() -> EncodedTexts:
    rng = np.random.default_rng(0)
    rows = [rng.integers(5, 60, size=rng.integers(1, 30)).tolist() for _ in range(44)]
    labels = [int(sum(row)) % 3 for row in rows]
    codes = [str(i) for i in range(44)]
    return encode_texts(codes, labels, lambda t: [rows[int(i)] for i in t], SpecialIds(2, 3, 0), max_seq_length=24)


class Run:
    """A classifier in training."""

    def __init__(self, start: Path, texts: EncodedTexts, *, dropout: float, rows: int) -> None:
        self.texts, self.rows = texts, rows
        self.model = classification.new_classifier(start, LABELS, init="pretrained", dropout=None, seed=5)
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
            if hasattr(module, "dropout_prob"):
                module.dropout_prob = dropout
        self.accelerator = Accelerator(cpu=True)
        self.objective = self.accelerator.prepare(classification.ClassificationLoss(self.model))
        self.optimizer = optimizers.make_optimizer(self.objective, "adamw", learning_rate=1e-3, weight_decay=0.01)

    def steps(self, position: Position = START) -> Any:
        return train_steps(
            self.objective,
            self.texts.batches(16, self.rows, seed=3, rank=0, world_size=1, start=position),
            self.optimizer,
            self.accelerator,
            learning_rate=lambda step: 1e-3 / step,
            max_grad_norm=1.0,
            seed=3,
        )

    def weights(self) -> list[torch.Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]


@pytest.mark.parametrize("rows", [8, 4, 1])
def test_accumulation_changes_nothing_but_rounding(start: Path, texts: EncodedTexts, rows: int) -> None:
    whole, parts = (Run(start, texts, dropout=0.0, rows=r) for r in (16, rows))
    for a, b in islice(zip(whole.steps(), parts.steps(), strict=True), 4):
        assert a.loss == pytest.approx(b.loss, rel=1e-5)
        assert a.grad_norm == pytest.approx(b.grad_norm, rel=1e-4)
        assert a.sums["count"] == b.sums["count"]


def test_a_step_is_what_plain_torch_would_do(start: Path, texts: EncodedTexts) -> None:
    ours, plain = Run(start, texts, dropout=0.0, rows=16), Run(start, texts, dropout=0.0, rows=16)
    batches = texts.batches(16, 16, seed=3, rank=0, world_size=1)
    decay = [p for p in plain.model.parameters() if p.ndim > 1]
    rest = [p for p in plain.model.parameters() if p.ndim <= 1]
    reference = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=1e-3, eps=1e-6
    )
    for result, batch in islice(zip(ours.steps(), batches, strict=False), 3):
        ((_, arrays),) = batch.micro_batches
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        output = plain.model(**tensors)
        for group in reference.param_groups:
            group["lr"] = 1e-3 / result.step
        reference.zero_grad()
        output.loss.backward()
        norm = nn.utils.clip_grad_norm_(plain.model.parameters(), 1.0)
        reference.step()
        assert result.loss == pytest.approx(output.loss.item(), rel=1e-5)
        assert result.grad_norm == pytest.approx(float(norm), rel=1e-4)
    for a, b in zip(ours.weights(), plain.weights(), strict=True):
        assert torch.allclose(a, b, atol=2e-5)


def test_biases_and_layer_norm_are_not_decayed(start: Path, texts: EncodedTexts) -> None:
    run = Run(start, texts, dropout=0.0, rows=16)
    decay = {id(p): group["weight_decay"] for group in run.optimizer.param_groups for p in group["params"]}
    for name, parameter in run.model.named_parameters():
        plain = name.endswith(".bias") or "LayerNorm" in name
        assert decay[id(parameter)] == (0.0 if plain else 0.01), name


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_run_that_is_cut_and_resumed_is_bit_identical(
    start: Path, texts: EncodedTexts, tmp_path: Path, cut: int
) -> None:
    whole = Run(start, texts, dropout=0.2, rows=8)
    losses = [r.loss for r in islice(whole.steps(), 6)]

    first = Run(start, texts, dropout=0.2, rows=8)
    result = list(islice(first.steps(), cut))[-1]
    groups = {
        "model": checkpoints.parameters(first.model),
        "optimizer": checkpoints.optimizer_tensors(first.optimizer, first.objective),
    }
    position = list(astuple(result.position.following))
    checkpoints.save(tmp_path, cut, groups, {"position": position}, keep=1, identity={"seed": 3})

    torch.manual_seed(123)  # nothing may depend on where the generator stands
    second = Run(start, texts, dropout=0.2, rows=8)
    saved = checkpoints.load_newest(tmp_path, {"seed": 3})
    assert saved is not None
    checkpoints.load_parameters(second.model, saved.groups["model"])
    checkpoints.load_optimizer_tensors(second.optimizer, second.objective, saved.groups["optimizer"])
    position = Position(*saved.state["position"])
    assert position.step == cut + 1
    rest = [r.loss for r in islice(second.steps(position), 6 - cut)]
    assert rest == losses[cut:]
    assert all(torch.equal(a, b) for a, b in zip(whole.weights(), second.weights(), strict=True))


def test_a_loss_that_is_not_finite_stops_before_the_update(start: Path, texts: EncodedTexts) -> None:
    run = Run(start, texts, dropout=0.0, rows=16)
    with torch.no_grad():
        run.model.classifier.weight[0, 0] = float("nan")
    before = run.weights()
    with pytest.raises(NumericError, match="step 1: the loss is nan") as caught:
        next(run.steps())
    assert caught.value.exit_code == 5
    for a, b in zip(before, run.weights(), strict=True):
        assert torch.equal(a.nan_to_num(), b.nan_to_num())


def test_evaluation_counts_every_text_once_and_has_no_dropout(start: Path, texts: EncodedTexts) -> None:
    run = Run(start, texts, dropout=0.5, rows=8)
    shares = [[arrays for _, arrays in texts.share(rows, rank=0, world_size=1)] for rows in (1, 7, 44)]
    sums = [evaluate(run.objective, micro_batches, run.accelerator) for micro_batches in shares]
    assert [s["count"] for s in sums] == [44, 44, 44]
    assert sums[0]["loss"] == pytest.approx(sums[1]["loss"], rel=1e-5) == pytest.approx(sums[2]["loss"], rel=1e-5)
    assert run.model.training
