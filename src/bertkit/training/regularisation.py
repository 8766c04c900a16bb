"""Regularisation of a step's gradients: penalties, noise on weights, mixout, max-norm, R-Drop.

Weights that a step changes are put back to the bit before its update, and what is drawn for it depends on seed and step
alone: every process draws the same, whatever its micro-batches.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from bertkit.data import keyed
from bertkit.data.batching import Position
from bertkit.errors import ConfigError, DataError
from bertkit.models.dropout import dropout
from bertkit.models.losses import divergence
from bertkit.models.objective import Batch, Sums, TaskObjective

Around = Callable[[Position], AbstractContextManager[None]]


def l1_penalty(model: nn.Module, weight: float) -> Around:
    """Add the gradient of `weight` times the sum of all absolute numbers in matrices."""
    matrices = [p for p in model.parameters() if p.ndim > 1 and p.requires_grad]

    @contextmanager
    def around(position: Position) -> Iterator[None]:
        yield
        with torch.no_grad():
            for matrix in matrices:
                if matrix.grad is not None:
                    matrix.grad.add_(matrix.sign(), alpha=weight)

    return around


def l2_to_start(model: nn.Module, weight: float) -> Around:
    """Add the gradient of `weight` / 2 times the squared distance of the encoder from its weights of now (L2-SP)."""
    started = [(p, p.detach().clone()) for _, p in encoder_parameters(model) if p.requires_grad]

    @contextmanager
    def around(position: Position) -> Iterator[None]:
        yield
        with torch.no_grad():
            for parameter, start in started:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter - start, alpha=weight)

    return around


def weight_noise(model: nn.Module, std: float, *, seed: int) -> Around:
    """Take the gradients at weights of linear layers with Gaussian noise of `std` (Graves 2011)."""
    matrices = [matrix for _, matrix in linear_weights(model)]

    @contextmanager
    def around(position: Position) -> Iterator[None]:
        torch.manual_seed(keyed.key(seed, "weight noise", position.step) >> 1)
        with kept(matrices):
            with torch.no_grad():
                for matrix in matrices:
                    matrix.add_(torch.randn_like(matrix), alpha=std)
            yield

    return around


def mixout(model: nn.Module, p: float, *, seed: int) -> Around:
    """Take the gradients where each number of the encoder's linear layers is, with probability `p`, its start's.

    The others are moved away from the start by 1 / (1 - p), so that the expectation stays (Lee et al. 2020, eq. 6). The
    paper draws for each forward pass, here it is once a step. It stands for dropout there: set `dropout` to 0.

    Raises:
        ConfigError: the encoder has no linear layers, as those of convolutions and recurrent networks.
    """
    of_encoder = {id(parameter) for _, parameter in encoder_parameters(model)}
    mixed = [(m, m.detach().clone()) for _, m in linear_weights(model) if id(m) in of_encoder]
    if not mixed:
        raise ConfigError(
            "regularization.mixout is for linear layers, and below the head there are none", remedy="Leave it out."
        )

    @contextmanager
    def around(position: Position) -> Iterator[None]:
        torch.manual_seed(keyed.key(seed, "mixout", position.step) >> 1)
        # 0 where the start's number stands, else 1 / (1 - p): also the derivative of what stands there.
        shares = [dropout(torch.ones_like(start), p) for _, start in mixed]
        with kept([matrix for matrix, _ in mixed]):
            with torch.no_grad():
                for (matrix, start), share in zip(mixed, shares, strict=True):
                    matrix.copy_(start + share * (matrix - start))
            yield
        for (matrix, _), share in zip(mixed, shares, strict=True):
            if matrix.grad is not None:
                matrix.grad.mul_(share)

    return around


@contextmanager
def kept(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Put the parameters' values of before the block back after it, to the bit."""
    with torch.no_grad():
        values = [parameter.detach().clone() for parameter in parameters]
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, values, strict=True):
                parameter.copy_(value)


@torch.no_grad()
def limit_rows(model: nn.Module, longest: float) -> None:
    """Shorten the rows of a head's linear weights to a norm of `longest` (Hinton et al. 2012)."""
    of_encoder = {id(parameter) for _, parameter in encoder_parameters(model)}
    for _, matrix in linear_weights(model):
        if id(matrix) not in of_encoder:
            matrix.copy_(torch.renorm(matrix, p=2, dim=0, maxnorm=longest))


class RDrop(TaskObjective):
    """An objective whose loss, in training, is the mean over two passes with other dropout, and how far they are apart.

    Loss + `alpha` x divergence (Liang et al. 2021, "R-Drop"), the two likelihoods averaged as in the authors' code. Counts
    and other figures are the first pass's.
    """

    def __init__(self, objective: TaskObjective, alpha: float) -> None:
        super().__init__()
        self.inner, self._alpha = objective, alpha

    @property
    def model(self) -> Any:
        return self.inner.model

    def forward(self, batch: Batch) -> Sums:
        if not self.training:
            sums: Sums = self.inner(batch)
            return sums
        first, second = self.outputs(batch), self.outputs(batch)
        one, other = self.sums(batch, first), self.sums(batch, second)
        apart = divergence(batch, first, second)
        return {**one, "loss": (one["loss"] + other["loss"]) / 2 + self._alpha * apart}

    def outputs(self, batch: Batch) -> dict[str, Tensor]:
        return self.inner.outputs(batch)

    def sums(self, batch: Batch, outputs: dict[str, Tensor]) -> Sums:
        return self.inner.sums(batch, outputs)


def encoder_parameters(model: Any) -> list[tuple[str, nn.Parameter]]:
    """The parameters below a Hugging Face model's head, with their names."""
    prefix = f"{model.base_model_prefix}."
    found = [(name, p) for name, p in model.named_parameters() if name.startswith(prefix)]
    if not found:
        raise DataError(f"the model has no part called {prefix!r}")
    return found


def linear_weights(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The matrices of linear layers that are learnt, with their names."""
    return [
        (f"{name}.weight", cast(nn.Parameter, module.weight))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.weight.requires_grad
    ]
