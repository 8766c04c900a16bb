"""Fast dropout: the law of dropout, from torch's seed alone."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bertkit.models.dropout import Dropout, dropout, install_dropout, keep_mask


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_dropped_and_the_expectation_are_right(p: float) -> None:
    torch.manual_seed(0)
    dropped = dropout(torch.ones(1000, 1001), p)
    assert float((dropped == 0).float().mean()) == pytest.approx(p, abs=0.002)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    assert dropped.unique().numel() == 2


def test_neighbours_fall_independently() -> None:
    torch.manual_seed(1)
    kept = (keep_mask(torch.Size([1 << 20]), 0.1, torch.float32) > 0).double() - 0.9
    for distance in (1, 2, 3, 4, 5, 128):
        assert abs(float((kept[distance:] * kept[:-distance]).mean())) < 0.09 * 5 / 1024


def test_the_gradient_goes_through_what_was_kept() -> None:
    torch.manual_seed(2)
    x = torch.randn(50, 40, requires_grad=True)
    y = dropout(x, 0.3)
    y.sum().backward()
    mask = torch.where(y == 0, 0.0, 65536 / (65536 - round(0.3 * 65536)))
    assert torch.equal(x.grad, mask)
    assert torch.equal(y, x * mask)


def test_torchs_seed_decides_whatever_the_number_of_threads() -> None:
    x = torch.ones(64, 512)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            torch.manual_seed(3)
            results.append((dropout(x, 0.2), dropout(x, 0.2)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, results[0][0]) and torch.equal(b, results[0][1]) for a, b in results)
    assert not torch.equal(*results[0])


def test_activation_checkpointing_draws_the_same_mask_again() -> None:
    layer = nn.Sequential(nn.Linear(16, 16), Dropout(0.5), nn.Linear(16, 16), Dropout(0.5))
    x = torch.randn(8, 16)

    def gradient(run: object) -> torch.Tensor:
        layer.zero_grad()
        torch.manual_seed(4)
        run(x).pow(2).sum().backward()  # type: ignore[operator]
        return layer[0].weight.grad.clone()

    plain = gradient(layer)
    assert torch.equal(gradient(lambda value: checkpoint(layer, value, use_reentrant=False)), plain)


def test_nothing_is_dropped_in_evaluation_nor_all_but_p_one() -> None:
    x = torch.randn(5, 5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(1.0)(x), torch.zeros(5, 5))


def test_install_keeps_probabilities_mode_and_names() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.25), nn.ModuleDict({"inner": nn.Dropout(0.75).eval()}))
    names = list(model.state_dict())
    install_dropout(model)
    assert isinstance(model[1], Dropout)
    assert (model[1].p, model[1].training) == (0.25, True)
    assert (model[2]["inner"].p, model[2]["inner"].training) == (0.75, False)
    assert list(model.state_dict()) == names
