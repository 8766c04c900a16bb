"""Gradient norms by part of the network: what they are, that they reach the log, and that the report draws them."""

import json
import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from bertkit.data.batching import Position
from bertkit.data.encoding import EncodedTexts
from bertkit.reporting import curves, training_curves
from bertkit.training.gradients import layer_norms, layer_of
from bertkit.training.journal import Journal
from bertkit.training.loop import StepResult, train_steps


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.bert.embeddings.word_embeddings.weight", "embeddings"),
        ("model.bert.encoder.layer.11.output.dense.weight", "layer.11"),
        ("module.model.bert.pooler.dense.bias", "head"),
        ("model.classifier.weight", "head"),
        ("model.backbone.encoder.layers.0.weight_hh_l0", "layer.0"),
        ("model.backbone.encoder.convolutions.1.weight", "encoder"),
        ("model.backbone.embeddings.tuned.weight", "embeddings"),
    ],
)
def test_every_backbone_has_parts(name: str, part: str) -> None:
    assert layer_of(name) == part


def test_the_squares_of_all_parts_add_up_to_the_whole_before_clipping(
    tiny: Callable[..., Any], eight: EncodedTexts
) -> None:
    learner = tiny()
    accelerator = Accelerator(cpu=True)
    (step, *_) = islice(
        train_steps(
            accelerator.prepare(learner),
            eight.batches(8, 4, seed=3, rank=0, world_size=1),
            torch.optim.SGD(learner.parameters(), lr=0.1),
            accelerator,
            learning_rate=lambda step: 0.1,
            max_grad_norm=1e-3,
            seed=3,
            measure_gradients=layer_norms,
        ),
        1,
    )
    layers = learner.model.config.num_hidden_layers
    assert set(step.layer_norms) == {"embeddings", "head", *(f"layer.{i}" for i in range(layers))}
    assert math.hypot(*step.layer_norms.values()) == pytest.approx(step.grad_norm, rel=1e-5)
    assert all(norm > 0 for norm in step.layer_norms.values())


def test_the_log_has_a_column_for_each_part_and_the_report_a_line(tmp_path: Path) -> None:
    log = Journal(tmp_path, Accelerator(cpu=True), name="t", max_steps=4, logging_steps=2, summarise=lambda sums: sums)
    parts = {"head": 2.0, "embeddings": 0.5, "layer.0": 0.1, "layer.10": 1.0, "layer.2": 3.0}
    for i in range(1, 5):
        norms = {**parts, "layer.0": i / 10}
        log.step(StepResult(i, Position(0, i - 1, i), i / 10, 1.0, {}, 1e-3, 4.0, 4, 100, 0.5, layer_norms=norms))
    log.close()
    found = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["grad_norm.layer.0"] for row in found] == [0.2, 0.4]
    # The ends of a deep network say what vanishes.
    assert curves.layer_columns(found) == [
        "grad_norm.embeddings",
        "grad_norm.layer.0",
        "grad_norm.layer.10",
        "grad_norm.head",
    ]
    drawn = training_curves.series(found, None)
    assert drawn["Gradient norm, layer 1"]["points"] == [(2, 0.2), (4, 0.4)]
    assert [chart["title"] for chart in curves.charts(found)][-1] == "Gradient, head"
