"""The averaged weights are the formula's, change places with the model's own, and survive a restart."""

import numpy as np
import pytest
import torch
from torch import nn

from bertkit.training.ema import WeightAverage


def trained(decay: float, steps: int) -> tuple[nn.Module, torch.optim.Optimizer, WeightAverage, list[torch.Tensor]]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    average = WeightAverage(model, optimizer, decay)
    seen = [model.weight.detach().clone()]
    for _ in range(steps):
        take_step(model, optimizer)
        seen.append(model.weight.detach().clone())
    return model, optimizer, average, seen


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_it_is_the_formula_with_a_short_memory_at_first(decay: float) -> None:
    _, _, average, seen = trained(decay, 40)
    expected = seen[0].double().numpy()
    for t, weights in enumerate(seen[1:], start=1):
        kept = min(decay, (1 + t) / (10 + t))
        expected = kept * expected + (1 - kept) * weights.double().numpy()
    np.testing.assert_allclose(average.weights["weight"].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert average.updates == 40


def test_they_change_places_and_back_even_after_an_error() -> None:
    model, optimizer, average, seen = trained(0.9, 5)
    averaged = {name: tensor.clone() for name, tensor in average.weights.items()}
    places = {p.data_ptr() for p in model.parameters()} | {t.data_ptr() for t in average.weights.values()}
    with pytest.raises(KeyError), average.in_model():
        assert torch.equal(model.weight, averaged["weight"])
        assert not torch.equal(model.weight, seen[-1])
        raise KeyError
    assert torch.equal(model.weight, seen[-1])
    assert torch.equal(average.weights["weight"], averaged["weight"])
    assert {p.data_ptr() for p in model.parameters()} | {t.data_ptr() for t in average.weights.values()} == places
    take_step(model, optimizer)
    assert not torch.equal(model.weight, seen[-1])


def test_it_goes_on_from_what_was_saved() -> None:
    _, _, whole, _ = trained(0.9, 7)
    model, optimizer, first, _ = trained(0.9, 4)
    again = WeightAverage(model, optimizer, 0.9)
    again.restore(first.weights, first.updates)
    for _ in range(3):
        take_step(model, optimizer)
    assert all(torch.equal(whole.weights[name], again.weights[name]) for name in whole.weights)
    assert again.updates == 7


def test_an_update_that_is_left_out_does_not_count() -> None:
    _, optimizer, average, _ = trained(0.9, 2)
    optimizer.zero_grad()
    assert average.updates == 2
