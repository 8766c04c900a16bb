"""The masked-LM loss against plain cross-entropy over all logits."""

import pytest
import torch
from torch.nn import functional

from bertkit.models import masked_lm
from bertkit.models.masked_lm import masked_lm_loss

ROWS, WIDTH, VOCABULARY = 37, 24, 101


def tensors(spread: float = 1.0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    hidden, weight, bias = (
        (torch.randn(shape, generator=generator) * spread).requires_grad_()
        for shape in ((ROWS, WIDTH), (VOCABULARY, WIDTH), (VOCABULARY,))
    )
    return hidden, weight, bias, torch.randint(0, VOCABULARY, (ROWS,), generator=generator)


@pytest.mark.parametrize("slab", [1, 4 * VOCABULARY * 8, 2**30])  # a row, eight rows, all at once
@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0])
def test_loss_and_gradients_are_those_of_cross_entropy(
    slab: int, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masked_lm, "_SLAB", {"cpu": slab})
    hidden, weight, bias, labels = tensors(spread)
    loss, correct = masked_lm_loss(hidden, weight, bias, labels)
    (loss / 7).backward()
    ours = [t.grad.clone() for t in (hidden, weight, bias)]

    double = [t.detach().double().requires_grad_() for t in (hidden, weight, bias)]
    logits = double[0] @ double[1].T + double[2]
    expected = functional.cross_entropy(logits, labels, reduction="sum")
    (expected / 7).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert correct.item() == (logits.argmax(-1) == labels).sum().item()
    for mine, other in zip(ours, double, strict=True):
        torch.testing.assert_close(mine.double(), other.grad, rtol=1e-4, atol=1e-5 * spread)


def test_extreme_logits_give_finite_losses() -> None:
    hidden, weight, bias, labels = tensors()
    with torch.no_grad():
        bias[0], bias[1] = 1e4, -1e4
    loss, correct = masked_lm_loss(hidden, weight, bias, torch.ones_like(labels))
    assert loss.item() == pytest.approx(2e4 * ROWS, rel=1e-2)
    assert correct.item() == 0


def test_evaluation_and_no_labels() -> None:
    hidden, weight, bias, labels = tensors()
    with torch.no_grad():
        loss, _ = masked_lm_loss(hidden, weight, bias, labels)
    assert not loss.requires_grad
    loss, correct = masked_lm_loss(hidden[:0], weight, bias, labels[:0])
    loss.backward()
    assert (loss.item(), correct.item()) == (0.0, 0)
    assert not weight.grad.any()


def test_nan_stays_nan() -> None:
    hidden, weight, bias, labels = tensors()
    with torch.no_grad():
        hidden[3, 3] = float("nan")
    assert masked_lm_loss(hidden, weight, bias, labels)[0].isnan()


def test_autocast_computes_products_in_its_type() -> None:
    hidden, weight, bias, labels = tensors()
    exact, _ = masked_lm_loss(hidden, weight, bias, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, _ = masked_lm_loss(hidden, weight, bias, labels)
    rough.backward()
    assert rough.dtype == torch.float32
    assert rough.item() != exact.item()
    assert rough.item() == pytest.approx(exact.item(), rel=0.02)
    assert weight.grad.dtype == torch.float32
