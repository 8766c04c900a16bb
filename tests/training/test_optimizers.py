"""Each optimizer does what its paper or torch's own does, spares the vectors, and goes on from a checkpoint to the bit."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import nn

from bertkit.errors import ConfigError
from bertkit.training import checkpoints
from bertkit.training.lamb import Lamb
from bertkit.training.optimizers import Name, make_optimizer

NAMES = get_args(Name)
LR, DECAY = 0.02, 0.1


def network(seed: int = 0) -> nn.Module:
    """An embedding, two numbered layers with a LayerNorm, and a head: what a BERT has of each kind."""
    torch.manual_seed(seed)
    layers = nn.ModuleList([nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 6)) for _ in range(2)])
    return nn.ModuleDict({"embeddings": nn.Embedding(10, 6), "layer": layers, "head": nn.Linear(6, 3)})


def take_steps(model: Any, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last + 1):
        generator = torch.Generator().manual_seed(step)
        hidden = model["embeddings"](torch.randint(0, 10, (16,), generator=generator))
        for layer in model["layer"]:
            hidden = hidden + layer(hidden)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model["head"](hidden), torch.arange(16) % 3).backward()
        optimizer.step()


def make(model: nn.Module, name: Any, **options: Any) -> torch.optim.Optimizer:
    return make_optimizer(model, name, learning_rate=LR, weight_decay=DECAY, **options)


def groups(model: nn.Module) -> list[dict[str, Any]]:
    """Our rule, written down a second time: biases and LayerNorm do not decay."""
    decays = {n: not (n.endswith("bias") or ".1.weight" in n) for n, _ in model.named_parameters()}
    return [
        {"params": [p for n, p in model.named_parameters() if decays[n]], "weight_decay": DECAY},
        {"params": [p for n, p in model.named_parameters() if not decays[n]], "weight_decay": 0.0},
    ]


TORCH: dict[str, tuple[dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": ({"momentum": 0.8, "nesterov": True}, torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
    "adagrad": ({}, torch.optim.Adagrad, {}),
    "adadelta": ({"rho": 0.8}, torch.optim.Adadelta, {"rho": 0.8}),
    "rmsprop": ({"alpha": 0.9, "momentum": 0.5}, torch.optim.RMSprop, {"alpha": 0.9, "momentum": 0.5}),
    "adam": ({"betas": (0.8, 0.9)}, torch.optim.Adam, {"betas": (0.8, 0.9), "eps": 1e-6}),
    "adamw": ({"eps": 1e-5}, torch.optim.AdamW, {"eps": 1e-5}),
}


@pytest.mark.parametrize("name", TORCH)
def test_updates_are_those_of_torchs_plain_optimizer(name: str) -> None:
    options, reference, reference_options = TORCH[name]
    ours, theirs = network(), network()
    take_steps(ours, make(ours, name, **options), 1, 8)
    take_steps(theirs, reference(groups(theirs), lr=LR, foreach=False, **reference_options), 1, 8)
    for (parameter, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=parameter)


def test_muon_takes_the_matrices_of_the_layers_and_adamw_the_rest() -> None:
    ours, theirs = network(), network()
    take_steps(ours, make(ours, "muon"), 1, 5)
    inner = [p for n, p in theirs.named_parameters() if n.startswith("layer.") and p.ndim == 2]
    rest = [
        {**group, "params": [p for p in group["params"] if not any(p is q for q in inner)]} for group in groups(theirs)
    ]
    muon = torch.optim.Muon(inner, lr=LR, weight_decay=DECAY, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(rest, lr=LR, eps=1e-6, foreach=False)

    class Both:
        def zero_grad(self) -> None:
            theirs.zero_grad()

        def step(self) -> None:
            muon.step()
            adamw.step()

    take_steps(theirs, Both(), 1, 5)  # type: ignore[arg-type]
    assert len(inner) == 4
    for (parameter, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=parameter)


def lamb_by_hand(
    weights: NDArray[np.float64], gradients: list[NDArray[np.float64]], decay: float, adapts: bool
) -> NDArray[np.float64]:
    """You et al. 2020, algorithm 2, in double precision."""
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for t, gradient in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        update = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + decay * weights
        ratio = np.linalg.norm(weights) / np.linalg.norm(update) if adapts and np.linalg.norm(weights) else 1.0
        weights = weights - LR * ratio * update
    return weights


def test_muon_leaves_filters_to_adamw_and_is_refused_where_there_is_no_matrix_for_it() -> None:
    filters = nn.ModuleDict({"convolutions": nn.ModuleList([nn.Conv1d(3, 4, 2)]), "head": nn.Linear(4, 2)})
    for model in (filters, nn.ModuleDict({"embeddings": nn.Embedding(5, 4), "head": nn.Linear(4, 2)})):
        with pytest.raises(ConfigError, match=r"numbered layers, and none of them(.|\n)*optim=adamw"):
            make(model, "muon")
    both = nn.ModuleDict({**filters, "layer": nn.ModuleList([nn.Linear(4, 4)])})
    before = both["convolutions"][0].weight.detach().clone()
    optimizer = make(both, "muon")
    both["head"](both["layer"][0](both["convolutions"][0](torch.ones(1, 3, 5)).mean(2))).sum().backward()
    optimizer.step()
    # Adam's first step is the learning rate, whatever the gradient; the weights decay.
    moved = both["convolutions"][0].weight.detach() - before * (1 - LR * DECAY)
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, LR), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (5,)])
@pytest.mark.parametrize("zero", [True, False])
def test_lamb_is_the_papers(shape: tuple[int, ...], zero: bool) -> None:
    rng = np.random.default_rng(0)
    start = np.zeros(shape) if zero else rng.normal(size=shape)
    gradients = [rng.normal(size=shape) for _ in range(6)]
    parameter = nn.Parameter(torch.tensor(start, dtype=torch.float32))
    optimizer = Lamb([parameter], lr=LR, weight_decay=DECAY)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
    expected = lamb_by_hand(start, gradients, DECAY, adapts=len(shape) > 1)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_biases_and_layer_norm_are_never_decayed(name: Any) -> None:
    """With a gradient of zero, decay is all that could move a weight."""
    model = network()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = make(model, name)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for n, parameter in model.named_parameters():
        moved = not torch.equal(parameter, before[n])
        assert moved == (parameter.ndim > 1), n


def written_and_read(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, torch.Tensor]:
    return load(save(checkpoints.optimizer_tensors(optimizer, model)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_checkpoint_goes_on_to_the_bit(name: Any, cut: int) -> None:
    options = {"momentum": 0.9} if name in ("sgd", "rmsprop") else {}
    whole, first, second = (network() for _ in range(3))
    take_steps(whole, make(whole, name, **options), 1, 5)

    optimizer = make(first, name, **options)
    take_steps(first, optimizer, 1, cut)
    checkpoints.load_parameters(second, load(save(checkpoints.parameters(first))))
    again = make(second, name, **options)
    checkpoints.load_optimizer_tensors(again, second, written_and_read(optimizer, first))
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        before, after = optimizer.state.get(p, {}), again.state.get(q, {})
        assert {k: v.dtype for k, v in before.items()} == {k: v.dtype for k, v in after.items()}
    take_steps(second, again, cut + 1, 5)
    for (n, a), (_, b) in zip(whole.named_parameters(), second.named_parameters(), strict=True):
        assert torch.equal(a, b), n


def test_sgd_without_momentum_has_nothing_to_save_and_resumes() -> None:
    model = network()
    optimizer = make(model, "sgd", momentum=0.0)
    take_steps(model, optimizer, 1, 2)
    tensors = written_and_read(optimizer, model)
    assert tensors == {}
    checkpoints.load_optimizer_tensors(make(model, "sgd", momentum=0.0), model, tensors)
