"""Optimizers by name. Whatever the name, biases and LayerNorm are not decayed (Devlin et al. 2019, A.2)."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from bertkit.errors import ConfigError, HostError
from bertkit.training.lamb import Lamb

Name = Literal["sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "lamb", "muon"]
Groups = list[dict[str, Any]]


def make_optimizer(
    model: nn.Module,
    name: Name,
    *,
    learning_rate: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    momentum: float | None = None,
    nesterov: bool = False,
    rho: float = 0.9,
    alpha: float = 0.99,
    lr_factor: Callable[[str], float] | None = None,
) -> torch.optim.Optimizer:
    """The optimizer `name` over two groups of a model's parameters: matrices, which decay, and vectors, which do not.

    | name | reads | weight decay |
    |---|---|---|
    | sgd | `momentum` (0.9), `nesterov` | added to the gradient (L2) |
    | adagrad, adadelta, rmsprop | -, `rho`, `alpha` and `momentum` (0) | added to the gradient (L2) |
    | adam | `betas`, `eps` | added to the gradient (L2) |
    | adamw (Loshchilov & Hutter 2019) | `betas`, `eps` | of the weights, apart from the gradient (decoupled) |
    | lamb (You et al. 2020) | `betas`, `eps` | decoupled, before the trust ratio |
    | muon (Jordan et al. 2024) | `momentum` (0.95), `betas`, `eps` | decoupled |

    `muon` takes the matrices of numbered layers, with updates scaled as large as AdamW's (Liu et al. 2025) so that its
    learning rates fit; embeddings, heads and vectors go to AdamW. It multiplies in bfloat16, slow on CPUs without it.

    `lr_factor` gives a parameter's share of the learning rate, by name: groups are divided by it and carry it as
    `lr_factor`, for the loop to heed.

    Raises:
        ConfigError: there is nothing for `muon` to learn.
        HostError: this torch has no Muon.
    """
    plain: list[nn.Parameter] = []
    matrices: list[tuple[str, nn.Parameter]] = []
    for full, parameter in model.named_parameters():
        if parameter.requires_grad:
            # Biases and LayerNorm weights are the vectors; every matrix decays.
            if parameter.ndim > 1:
                matrices.append((full, parameter))
            else:
                plain.append(parameter)
    groups: Groups = [
        {"params": [parameter for _, parameter in matrices], "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if lr_factor is not None:
        name_of = {id(parameter): full for full, parameter in model.named_parameters()}
        groups = [part for group in groups for part in _by_factor(group, lambda p: lr_factor(name_of[id(p)]))]
    lr = learning_rate
    match name:
        # The fused kernels read and write each number once, on CPUs too; adadelta and rmsprop have none.
        case "sgd":
            speed = 0.9 if momentum is None else momentum
            return torch.optim.SGD(groups, lr=lr, momentum=speed, nesterov=nesterov, fused=True)
        case "adagrad":
            on_cpu = all(parameter.device.type == "cpu" for parameter in plain)
            return torch.optim.Adagrad(groups, lr=lr, fused=on_cpu or None)
        case "adadelta":
            return torch.optim.Adadelta(groups, lr=lr, rho=rho)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=lr, alpha=alpha, momentum=momentum or 0.0)
        case "adam":
            return torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=True)
        case "lamb":
            return Lamb(groups, lr=lr, betas=betas, eps=eps)
        case "muon":
            if not hasattr(torch.optim, "Muon"):
                raise HostError(f"torch {torch.__version__} has no Muon", remedy="Install torch 2.9 or newer.")
            # Filters of convolutions have three dimensions.
            hidden = {id(matrix) for full, matrix in matrices if matrix.ndim == 2 and _in_numbered_layer(full)}
            if not hidden:
                what = "muon learns the matrices of numbered layers, and none of them is learnt here"
                raise ConfigError(what, remedy="Set optim=adamw.")
            inner = _part(groups, lambda parameter: id(parameter) in hidden)
            other = _part(groups, lambda parameter: id(parameter) not in hidden)
            speed = 0.95 if momentum is None else momentum
            return MuonAdamW(inner, other, lr=lr, betas=betas, eps=eps, momentum=speed)


def _by_factor(group: dict[str, Any], factor: Callable[[nn.Parameter], float]) -> Groups:
    """A group divided by its parameters' shares of the learning rate, largest first."""
    found: dict[float, list[nn.Parameter]] = {}
    for parameter in group["params"]:
        found.setdefault(factor(parameter), []).append(parameter)
    return [{**group, "params": found[share], "lr_factor": share} for share in sorted(found, reverse=True)]


def _part(groups: Groups, chosen: Callable[[nn.Parameter], bool]) -> Groups:
    """Groups with the chosen parameters alone; those left empty fall away."""
    parts = [{**group, "params": [p for p in group["params"] if chosen(p)]} for group in groups]
    return [part for part in parts if part["params"]]


def _in_numbered_layer(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))


class MuonAdamW(torch.optim.Optimizer):
    """torch's Muon on some groups and AdamW on the others, as one optimizer with one state."""

    def __init__(
        self, muon: Groups, adamw: Groups, *, lr: float, betas: tuple[float, float], eps: float, momentum: float
    ) -> None:
        self._muon = torch.optim.Muon(muon, lr=lr, momentum=momentum, adjust_lr_fn="match_rms_adamw")
        self._adamw = torch.optim.AdamW(adamw, lr=lr, betas=betas, eps=eps, fused=True)
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        # The state and groups are this object's, which loading a checkpoint replaces: lend them out for each step.
        count = len(self._muon.param_groups)
        self._muon.param_groups, self._adamw.param_groups = self.param_groups[:count], self.param_groups[count:]
        for part in (self._muon, self._adamw):
            part.state = self.state
            part.step()  # type: ignore[no-untyped-call, unused-ignore]
