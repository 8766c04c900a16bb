"""Penalties and noise have the gradients of their formulas, leave the weights alone, and do not see how a batch is divided."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from bertkit.data.batching import Position
from bertkit.data.encoding import EncodedTexts
from bertkit.training import regularisation
from bertkit.training.loop import Recipe, StepResult, train_steps
from bertkit.training.recipes import make_recipe, with_r_drop

Make = Callable[..., Any]
OFF: dict[str, Any] = {
    "l1": 0.0,
    "l2_sp": 0.0,
    "input_noise": 0.0,
    "weight_noise": 0.0,
    "mixout": 0.0,
    "max_norm": None,
}
LAYERS: dict[str, Any] = {
    "learning_rate_decay": 1.0,
    "head_learning_rate": None,
    "freeze_layers": None,
    "unfreeze_steps": None,
}


def recipe_of(model: Any, *, seed: int = 5, **options: Any) -> Recipe:
    return make_recipe(
        model, regularization=OFF | options, adversarial=None, layers=LAYERS, learning_rate=0.1, seed=seed
    )


def train(
    learner: Any, texts: EncodedTexts, recipe: Recipe, *, rows: int = 8, updates: int = 1, lr: float = 0.1
) -> StepResult:
    accelerator = Accelerator(cpu=True)
    results = train_steps(
        accelerator.prepare(learner),
        texts.batches(8, rows, seed=3, rank=0, world_size=1),
        torch.optim.SGD(learner.parameters(), lr=lr),
        accelerator,
        learning_rate=lambda step: lr,
        max_grad_norm=1e9,
        seed=3,
        recipe=recipe,
    )
    return list(islice(results, updates))[-1]


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def plain_gradients(model: Any, texts: EncodedTexts, penalty: Callable[[Any], Tensor] | None = None) -> None:
    """Gradients of the mean loss of all texts and a penalty, by autograd alone."""
    loss = sum(
        nn.functional.cross_entropy(model(torch.from_numpy(row)[None]).logits, torch.tensor([label]))
        for row, label in zip(texts.rows, texts.labels.tolist(), strict=True)
    )
    total: Any = loss / len(texts)
    (total + penalty(model) if penalty else total).backward()


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("rows", [8, 2])
def test_l1_is_the_gradient_of_the_penalty_once_a_step(tiny: Make, eight: EncodedTexts, rows: int) -> None:
    ours, theirs = tiny(), tiny()
    train(ours, eight, recipe_of(ours.model, l1=0.01), rows=rows)
    plain_gradients(
        theirs.model, eight, lambda model: sum(0.01 * p.abs().sum() for p in model.parameters() if p.ndim > 1)
    )
    assert_same(gradients(ours.model), gradients(theirs.model))


@pytest.mark.parametrize("rows", [8, 2])
def test_l2_sp_pulls_the_encoder_back_and_not_the_head(tiny: Make, eight: EncodedTexts, rows: int) -> None:
    ours, theirs = tiny(), tiny()
    started = weights(ours.model)
    recipe = recipe_of(ours.model, l2_sp=0.3)
    for model in (ours.model, theirs.model):  # as after some training, or a checkpoint
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05)
    train(ours, eight, recipe, rows=rows)

    def penalty(model: Any) -> Any:
        named = model.named_parameters()
        return sum(0.15 * (p - started[name]).square().sum() for name, p in named if name.startswith("bert."))

    plain_gradients(theirs.model, eight, penalty)
    assert_same(gradients(ours.model), gradients(theirs.model))


@pytest.mark.parametrize("rows", [8, 2])
def test_weight_noise_is_in_the_gradient_and_not_in_the_weights(tiny: Make, eight: EncodedTexts, rows: int) -> None:
    ours, theirs = tiny(), tiny()
    before, seen = weights(ours.model), {}
    recipe = recipe_of(ours.model, weight_noise=0.1)
    ours.model.register_forward_hook(lambda *_: seen.update(weights(ours.model)))
    train(ours, eight, recipe, rows=rows, lr=0.0)
    for name, p in ours.model.named_parameters():
        assert torch.equal(p, before[name]), name
        linear = p.ndim > 1 and "embeddings" not in name
        assert torch.equal(seen[name], before[name]) == (not linear), name
    noise = (
        seen["bert.encoder.layer.0.intermediate.dense.weight"]
        - before["bert.encoder.layer.0.intermediate.dense.weight"]
    )
    assert noise.std().item() == pytest.approx(0.1, rel=0.15)
    with torch.no_grad():
        for name, p in theirs.model.named_parameters():
            p.copy_(seen[name])
    plain_gradients(theirs.model, eight)
    assert_same(gradients(ours.model), gradients(theirs.model))


@pytest.mark.parametrize("rows", [8, 2])
def test_mixout_is_the_papers_and_its_gradient_autograds(tiny: Make, eight: EncodedTexts, rows: int) -> None:
    """The reference mixes inside the graph: start + mask / (1 - p) * (weights - start), eq. 6."""
    ours, theirs = tiny(), tiny()
    started, p, seen = weights(ours.model), 0.375, {}
    recipe = recipe_of(ours.model, mixout=p)
    for model in (ours.model, theirs.model):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.linspace(0.01, 0.1, parameter.numel()).view_as(parameter))
    before = weights(ours.model)
    ours.model.register_forward_hook(lambda *_: seen.update(weights(ours.model)))
    train(ours, eight, recipe, rows=rows, lr=0.0)
    shares = []
    mixed: dict[str, Tensor] = {}
    for name, parameter in theirs.model.named_parameters():
        if name.startswith("bert.") and parameter.ndim > 1 and "embeddings" not in name:
            mask = (seen[name] != started[name]).float()
            shares.append(1 - mask.mean().item())
            mixed[name] = started[name] + mask / (1 - p) * (parameter - started[name])
            torch.testing.assert_close(seen[name], mixed[name].detach(), rtol=1e-4, atol=1e-6)
    assert np.mean(shares) == pytest.approx(p, abs=0.03)
    loss = 0.0
    for row, label in zip(eight.rows, eight.labels.tolist(), strict=True):
        output = torch.func.functional_call(theirs.model, mixed, torch.from_numpy(row)[None])
        loss = loss + nn.functional.cross_entropy(output.logits, torch.tensor([label])) / 8
    loss.backward()  # type: ignore[attr-defined]
    assert_same(gradients(ours.model), gradients(theirs.model))
    for name, parameter in ours.model.named_parameters():
        assert torch.equal(parameter, before[name]), name


def test_what_is_drawn_depends_on_seed_and_step_alone(tiny: Make) -> None:
    for options in ({"weight_noise": 0.1}, {"mixout": 0.5}):

        def drawn(step: int, seed: int, options: Any = options) -> Tensor:
            model = tiny().model
            recipe = recipe_of(model, seed=seed, **options)
            weight = model.bert.encoder.layer[0].attention.self.query.weight
            with torch.no_grad():
                weight.add_(1.0)
            torch.rand(step)  # nothing may depend on where the generator stands
            with recipe.around[0](Position(0, 0, step)):
                found: Tensor = weight.detach().clone()
            return found

        assert torch.equal(drawn(3, 5), drawn(3, 5))
        assert not torch.equal(drawn(3, 5), drawn(4, 5))
        assert not torch.equal(drawn(3, 5), drawn(3, 6))


def test_weights_come_back_when_a_step_breaks(tiny: Make) -> None:
    model = tiny().model
    before = weights(model)
    recipe = recipe_of(model, weight_noise=0.1)
    with pytest.raises(RuntimeError, match="out of memory"), recipe.around[0](Position(0, 0, 1)):
        raise RuntimeError("out of memory")
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_max_norm_shortens_long_rows_of_the_head_alone(tiny: Make) -> None:
    model = tiny().model
    with torch.no_grad():
        model.classifier.weight[0] *= 100
        model.classifier.weight[1] *= 1e-3
    before = weights(model)
    recipe = recipe_of(model, max_norm=0.5)
    assert recipe.after_update is not None
    recipe.after_update()
    row = before["classifier.weight"][0]
    torch.testing.assert_close(model.classifier.weight[0], 0.5 * row / row.norm(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model.classifier.weight[1], before["classifier.weight"][1], rtol=0, atol=0)
    for name, p in model.named_parameters():
        assert name == "classifier.weight" or torch.equal(p, before[name])


def test_r_drop_is_two_passes_and_their_divergence(tiny: Make, eight: EncodedTexts) -> None:
    ours, theirs = with_r_drop(tiny(0.3), 1.5), tiny(0.3)
    result = train(ours, eight, Recipe(), lr=0.0)
    (_, arrays), *_ = next(eight.batches(8, 8, seed=3, rank=0, world_size=1)).micro_batches
    batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
    theirs.train()
    from bertkit.data import keyed

    torch.manual_seed(keyed.key(3, "dropout 0", 1) >> 1)
    p, q = (theirs.outputs(batch)["logits"].log_softmax(-1) for _ in range(2))
    assert not torch.equal(p, q)
    likelihood = -(p[range(8), batch["labels"]] + q[range(8), batch["labels"]]) / 2
    apart = 0.5 * ((p.exp() * (p - q)).sum(-1) + (q.exp() * (q - p)).sum(-1))
    loss = (likelihood + 1.5 * apart).mean()
    loss.backward()
    assert result.loss == pytest.approx(loss.item(), rel=1e-4)
    assert result.sums["count"] == 8
    assert_same(gradients(ours.model), gradients(theirs.model))


def test_r_drop_measures_as_the_objective_does(tiny: Make, eight: EncodedTexts) -> None:
    plain = tiny(0.3).eval()
    ours = with_r_drop(tiny(0.3), 1.5).eval()
    ((_, arrays),) = eight.share(8, rank=0, world_size=1)
    batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
    assert ours(batch) == plain(batch)
    assert isinstance(ours, regularisation.RDrop)
    assert [name for name, _ in ours.model.named_parameters()] == [name for name, _ in plain.model.named_parameters()]
    assert isinstance(with_r_drop(plain, 0.0), type(plain))


@pytest.mark.parametrize("rows", [4, 1])
def test_r_drop_does_not_see_how_the_batch_is_divided(tiny: Make, eight: EncodedTexts, rows: int) -> None:
    """With noise on inputs left out and no dropout there is nothing to draw: both passes agree."""
    whole, parts = with_r_drop(tiny(), 1.5), with_r_drop(tiny(), 1.5)
    a = train(whole, eight, Recipe(), rows=8)
    b = train(parts, eight, Recipe(), rows=rows)
    assert a.loss == pytest.approx(b.loss, rel=1e-5)
    assert_same(gradients(whole.model), gradients(parts.model))


def test_off_is_the_plain_recipe(tiny: Make) -> None:
    assert recipe_of(tiny().model) == Recipe()
