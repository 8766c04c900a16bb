"""Layers learn at their own rates, stay frozen, or join one by one; every optimizer heeds it."""

from collections.abc import Callable
from itertools import islice
from typing import Any, get_args

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from bertkit.data.encoding import EncodedTexts
from bertkit.errors import ConfigError
from bertkit.training.layers import depth, freeze, gradual_unfreezing, learning_rate_factors
from bertkit.training.loop import Recipe, StepResult, train_steps
from bertkit.training.optimizers import Name, make_optimizer

Make = Callable[..., Any]


def train(
    learner: Any,
    texts: EncodedTexts,
    recipe: Recipe,
    *,
    updates: int,
    batch_size: int = 8,
    optimizer: Any = None,
    max_grad_norm: float = 1e9,
) -> list[StepResult]:
    accelerator = Accelerator(cpu=True)
    results = train_steps(
        accelerator.prepare(learner),
        texts.batches(batch_size, batch_size, seed=3, rank=0, world_size=1),
        optimizer or torch.optim.SGD(learner.parameters(), lr=0.1),
        accelerator,
        learning_rate=lambda step: 0.1 / step,
        max_grad_norm=max_grad_norm,
        seed=3,
        recipe=recipe,
    )
    return list(islice(results, updates))


def weights(learner: Any) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in learner.model.named_parameters()}


def moved(before: dict[str, Tensor], learner: Any) -> set[str]:
    """Which parts are no longer what they were: embeddings, layers by number, pooler, classifier."""
    found = set()
    for name, p in learner.model.named_parameters():
        if not torch.equal(p, before[name]):
            parts = name.removeprefix("bert.").split(".")
            found.add(parts[2] if parts[0] == "encoder" else parts[0])
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("module.model.classifier.weight", 0),
        ("model.bert.pooler.dense.bias", 0),
        ("model.bert.encoder.layer.11.output.dense.weight", 1),
        ("model.bert.encoder.layer.10.output.dense.weight", 2),
        ("inner.model.bert.encoder.layer.0.output.LayerNorm.weight", 12),
        ("bert.embeddings.word_embeddings.weight", 13),
        ("model.crf.transitions", 0),
    ],
)
def test_depth_counts_from_the_head_down(name: str, expected: int) -> None:
    assert depth(name, layers=12) == expected


def test_rates_decay_from_the_head_down_and_the_head_has_its_own() -> None:
    factor = learning_rate_factors(layers=12, decay=0.9, head=5.0)
    assert factor("model.classifier.weight") == 5.0
    assert factor("model.bert.pooler.dense.weight") == 1.0
    assert factor("model.bert.encoder.layer.11.output.dense.weight") == pytest.approx(0.9)
    assert factor("model.bert.encoder.layer.0.output.dense.weight") == pytest.approx(0.9**12)
    assert factor("model.bert.embeddings.LayerNorm.bias") == pytest.approx(0.9**13)


def test_an_update_is_the_gradient_times_the_layers_rate(tiny: Make, eight: EncodedTexts) -> None:
    learner = tiny()
    before = weights(learner)
    factor = learning_rate_factors(layers=2, decay=0.5, head=3.0)
    optimizer = make_optimizer(learner, "sgd", learning_rate=0.1, weight_decay=0.0, momentum=0.0, lr_factor=factor)
    (result,) = train(learner, eight, Recipe(), updates=1, optimizer=optimizer)
    assert result.learning_rate == pytest.approx(0.1)
    expected = {"classifier": 3.0, "bert.pooler": 1.0, "layer.1": 0.5, "layer.0": 0.25, "embeddings": 0.125}
    for name, p in learner.model.named_parameters():
        (share,) = (share for part, share in expected.items() if part in name)
        torch.testing.assert_close(p.detach(), before[name] - 0.1 * share * p.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", get_args(Name))
def test_every_optimizer_heeds_the_rates_and_its_decay(name: Any, tiny: Make, eight: EncodedTexts) -> None:
    """A share of 0 stops a parameter whatever the optimizer; equal shares change nothing."""
    still, even, plain = tiny(), tiny(), tiny()
    before = weights(still)
    made = [
        make_optimizer(learner, name, learning_rate=0.1, weight_decay=0.1, lr_factor=factor)
        for learner, factor in (
            (still, lambda full: 0.0 if "bert." in full else 1.0),
            (even, lambda full: 1.0),
            (plain, None),
        )
    ]
    for learner, optimizer in zip((still, even, plain), made, strict=True):
        train(learner, eight, Recipe(), updates=2, optimizer=optimizer)
    assert moved(before, still) == {"classifier"}
    assert all(torch.equal(a, b) for a, b in zip(even.parameters(), plain.parameters(), strict=True))
    for optimizer in made:
        assert all((group["weight_decay"] == 0.0) == (group["params"][0].ndim == 1) for group in optimizer.param_groups)


def test_frozen_layers_have_no_gradient_and_no_graph(tiny: Make, eight: EncodedTexts) -> None:
    learner = tiny()
    freeze(learner.model, 1)
    before, graphs = weights(learner), []
    learner.model.bert.encoder.layer[1].register_forward_pre_hook(lambda _, args: graphs.append(args[0].requires_grad))
    train(learner, eight, Recipe(), updates=2)
    assert moved(before, learner) == {"1", "pooler", "classifier"}
    assert graphs == [False, False]
    for name, p in learner.model.named_parameters():
        assert (p.grad is None) == ("embeddings" in name or "layer.0." in name)


@pytest.mark.parametrize(("count", "expected"), [(0, {"0", "1"}), (2, set())])
def test_freezing_counts_layers_above_the_embeddings(
    count: int, expected: set[str], tiny: Make, eight: EncodedTexts
) -> None:
    learner = tiny()
    freeze(learner.model, count)
    before = weights(learner)
    train(learner, eight, Recipe(), updates=1)
    assert moved(before, learner) == expected | {"pooler", "classifier"}


def test_more_layers_than_there_are_cannot_be_frozen(tiny: Make) -> None:
    with pytest.raises(ConfigError, match="freeze_layers is 3, and the model has 2 layers"):
        freeze(tiny().model, 3)


@pytest.mark.parametrize("every", ["epoch", 2])
def test_layers_join_from_the_top_and_decay_waits_for_them(every: Any, tiny: Make, eight: EncodedTexts) -> None:
    """Two batches an epoch: both ways of counting add a layer after two steps."""
    learner = tiny()
    recipe = Recipe(around=(gradual_unfreezing(learner.model, every),))
    optimizer = make_optimizer(learner, "adamw", learning_rate=0.1, weight_decay=0.1)
    before, found = weights(learner), []
    accelerator = Accelerator(cpu=True)
    steps = train_steps(
        accelerator.prepare(learner),
        eight.batches(4, 4, seed=3, rank=0, world_size=1),
        optimizer,
        accelerator,
        learning_rate=lambda step: 0.01,
        max_grad_norm=1.0,
        seed=3,
        recipe=recipe,
    )
    for _ in islice(steps, 7):
        found.append(moved(before, learner) - {"pooler", "classifier"})
    assert found == [set(), set(), {"1"}, {"1"}, {"0", "1"}, {"0", "1"}, {"0", "1", "embeddings"}]


def test_gradients_that_are_dropped_do_not_count_in_the_norm(tiny: Make, eight: EncodedTexts) -> None:
    learner, frozen = tiny(), tiny()
    recipe = Recipe(around=(gradual_unfreezing(learner.model, 10),))
    freeze(frozen.model, 2)
    (a,), (b,) = train(learner, eight, recipe, updates=1), train(frozen, eight, Recipe(), updates=1)
    assert a.grad_norm == pytest.approx(b.grad_norm, rel=1e-5)
