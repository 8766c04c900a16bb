"""Adversarial steps are what plain loops over one text at a time compute, however the batch is divided."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from bertkit.data.encoding import EncodedTexts
from bertkit.training.adversarial import Adversary, install_input_noise
from bertkit.training.loop import Recipe, StepResult, evaluate, train_steps

Make = Callable[..., Any]
SIZE, EPSILON, ALPHA = 8, 0.9, 0.4


def run(tiny: Make, eight: EncodedTexts, method: Any, *, rows: int = SIZE, steps: int = 3) -> Any:
    """The objective after one update by a method, with its gradients, and the result."""
    learner = tiny()
    accelerator = Accelerator(cpu=True)
    prepared = accelerator.prepare(learner)
    recipe = Recipe(
        learn=Adversary(learner.model.get_input_embeddings(), method, epsilon=EPSILON, alpha=ALPHA, steps=steps)
    )
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    results = train_steps(
        prepared,
        eight.batches(SIZE, rows, seed=3, rank=0, world_size=1),
        optimizer,
        accelerator,
        learning_rate=lambda step: 0.1,
        max_grad_norm=1e9,
        seed=3,
        recipe=recipe,
    )
    return learner, next(iter(results))


def loss_of(learner: Any, eight: EncodedTexts, i: int, moved: Tensor) -> Tensor:
    """The loss of one text alone, without padding, at embeddings given from outside."""
    ids = torch.from_numpy(eight.rows[i])[None]
    embedded = learner.model.get_input_embeddings()(ids) + moved
    logits = learner.model(inputs_embeds=embedded).logits
    return nn.functional.cross_entropy(logits, torch.tensor([eight.labels[i]]))


def onto_ball(moved: Tensor) -> Tensor:
    return moved * min(1.0, EPSILON / max(float(moved.norm()), 1e-30))


def by_hand(tiny: Make, eight: EncodedTexts, method: str, steps: int) -> Any:
    """Gradients of the mean loss over single texts, written from the papers' algorithms."""
    learner = tiny()
    learner.train()
    for i in range(SIZE):
        clean = torch.zeros(1, len(eight.rows[i]), 16, requires_grad=True)
        moved, total = clean, 0.5 * loss_of(learner, eight, i, clean)
        for _ in range(1 if method == "fgm" else steps):
            moved = moved.detach().requires_grad_()
            (g,) = torch.autograd.grad(loss_of(learner, eight, i, moved), moved)
            direction = g / g.norm()
            moved = EPSILON * direction if method == "fgm" else onto_ball(moved.detach() + ALPHA * direction)
        total = total + 0.5 * loss_of(learner, eight, i, moved.detach())
        (total / SIZE).backward()
    return learner


def gradients(learner: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in learner.named_parameters() if p.grad is not None}


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    a, b = gradients(ours), gradients(theirs)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize(("method", "steps"), [("fgm", 1), ("pgd", 1), ("pgd", 3)])
@pytest.mark.parametrize("rows", [8, 4, 1])
def test_gradients_are_those_of_a_loop_over_single_texts(
    tiny: Make, eight: EncodedTexts, method: str, steps: int, rows: int
) -> None:
    ours, _ = run(tiny, eight, method, rows=rows, steps=steps)
    assert_same(ours, by_hand(tiny, eight, method, steps))


def test_freelb_is_the_papers_algorithm(tiny: Make, eight: EncodedTexts, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a start of zero, so that what is drawn for it plays no part."""
    monkeypatch.setattr(Adversary, "_start", lambda self, micro_batch: self._zeros(micro_batch))
    learner = tiny()
    learner.train()
    losses = []
    for i in range(SIZE):
        moved = torch.zeros(1, len(eight.rows[i]), 16)
        for _ in range(3):
            moved = moved.requires_grad_()
            loss = loss_of(learner, eight, i, moved) / SIZE
            (loss / 3).backward()
            losses.append(loss.item() / 3)
            assert moved.grad is not None
            moved = onto_ball(moved.detach() + ALPHA * moved.grad / moved.grad.norm())
    for rows in (8, 2):
        ours, result = run(tiny, eight, "freelb", rows=rows)
        assert_same(ours, learner)
        assert result.loss == pytest.approx(sum(losses), rel=1e-4)
        assert result.sums["count"] == SIZE


def test_freelbs_start_is_small_differs_by_text_and_is_drawn_again_the_same(tiny: Make, eight: EncodedTexts) -> None:
    adversary = Adversary(tiny().model.get_input_embeddings(), "freelb", epsilon=EPSILON, alpha=ALPHA, steps=2)
    batch = next(eight.batches(SIZE, SIZE, seed=3, rank=0, world_size=1))
    tensors = {name: torch.from_numpy(array) for name, array in batch.micro_batches[0][1].items()}

    class Fixed:
        batch = tensors

        def seed(self, purpose: str) -> None:
            torch.manual_seed(7)

    start, again = (adversary._start(Fixed()) for _ in range(2))  # type: ignore[arg-type]
    assert torch.equal(start, again)
    assert not torch.equal(start[0, :3], start[1, :3])
    assert (start * (1 - tensors["attention_mask"])[..., None]).abs().sum() == 0
    norms = start.detach().flatten(1).norm(dim=1)
    # The norm of n uniform numbers from -e/sqrt(n) to e/sqrt(n) is about e/sqrt(3).
    assert norms.mean().item() == pytest.approx(EPSILON / 3**0.5, rel=0.1)


@pytest.mark.parametrize("method", ["fgm", "pgd", "freelb"])
def test_the_moved_embeddings_have_a_higher_loss_and_padding_stays(
    tiny: Make, eight: EncodedTexts, method: str
) -> None:
    learner, seen = tiny(), []
    embeddings = learner.model.get_input_embeddings()
    adversary = Adversary(embeddings, method, epsilon=EPSILON, alpha=ALPHA, steps=3)
    embeddings.register_forward_hook(lambda *_: seen.append(adversary._moved))
    accelerator = Accelerator(cpu=True)
    (result,) = islice(
        train_steps(
            accelerator.prepare(learner),
            eight.batches(SIZE, SIZE, seed=3, rank=0, world_size=1),
            torch.optim.SGD(learner.parameters(), lr=0.0),
            accelerator,
            learning_rate=lambda step: 0.0,
            max_grad_norm=1.0,
            seed=3,
            recipe=Recipe(learn=adversary),
        ),
        1,
    )
    assert len(seen) == {"fgm": 2, "pgd": 4, "freelb": 3}[method]
    mask = next(eight.batches(SIZE, SIZE, seed=3, rank=0, world_size=1)).micro_batches[0][1]["attention_mask"]
    for moved in seen:
        assert float((moved.detach() * torch.from_numpy(1 - mask)[..., None]).abs().sum()) == 0
        assert float(moved.detach().flatten(1).norm(dim=1).max()) <= EPSILON * (1 + 1e-5)
    assert adversary._moved is None
    arrays = [arrays for _, arrays in eight.share(SIZE, rank=0, world_size=1)]
    assert result.loss > evaluate(learner, arrays, accelerator)["loss"] / SIZE


def test_a_text_without_a_gradient_is_not_moved(tiny: Make, eight: EncodedTexts) -> None:
    learner = tiny()
    with torch.no_grad():
        learner.model.classifier.weight.zero_()
    adversary = Adversary(learner.model.get_input_embeddings(), "fgm", epsilon=EPSILON, alpha=ALPHA, steps=1)
    accelerator = Accelerator(cpu=True)
    steps = train_steps(
        accelerator.prepare(learner),
        eight.batches(SIZE, SIZE, seed=3, rank=0, world_size=1),
        torch.optim.SGD(learner.parameters(), lr=0.0),
        accelerator,
        learning_rate=lambda step: 0.0,
        max_grad_norm=1.0,
        seed=3,
        recipe=Recipe(learn=adversary),
    )
    result: StepResult = next(iter(steps))
    assert result.loss == pytest.approx(np.log(3), rel=0.2)
    assert np.isfinite(result.grad_norm)


def test_input_noise_is_there_in_training_alone(tiny: Make, eight: EncodedTexts) -> None:
    embeddings = nn.Embedding(10, 200)
    install_input_noise(embeddings, 0.5)
    ids = torch.arange(10)
    torch.manual_seed(1)
    noise = (embeddings(ids) - embeddings.weight).detach()
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)
    assert abs(noise.mean().item()) < 0.05
    torch.manual_seed(1)
    assert torch.equal(noise, (embeddings(ids) - embeddings.weight).detach())
    assert torch.equal(embeddings.eval()(ids), embeddings.weight)
