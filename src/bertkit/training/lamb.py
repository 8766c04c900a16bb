"""LAMB: Adam whose step in each matrix is as long as the matrix is large (You et al. 2020, "Large Batch Optimization")."""

from typing import Any

import torch


class Lamb(torch.optim.Optimizer):
    """Algorithm 2 of the paper, with bias correction and decoupled weight decay.

    The trust ratio |weights| / |update| is that of each matrix; vectors, and weights or updates of 0, have 1.
    """

    def __init__(
        self,
        params: Any,
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state, gradient, (beta1, beta2) = self.state[parameter], parameter.grad, group["betas"]
        assert gradient is not None
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        steps = int(state["step"])
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        spread = (state["exp_avg_sq"] / (1 - beta2**steps)).sqrt_().add_(group["eps"])
        update = (state["exp_avg"] / (1 - beta1**steps)).div_(spread)
        update.add_(parameter, alpha=group["weight_decay"])
        if parameter.ndim > 1:
            large, long = torch.linalg.vector_norm(parameter), torch.linalg.vector_norm(update)
            update.mul_(torch.where((large > 0) & (long > 0), large / long, 1.0))
        parameter.sub_(update, alpha=group["lr"])
