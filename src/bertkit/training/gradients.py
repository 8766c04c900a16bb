"""How large the gradient is in each layer: what vanishes or explodes on the way down shows here (Glorot & Bengio 2010)."""

import re

from torch import nn

from bertkit.training import sharding

_LAYER = re.compile(r"\blayers?\.(\d+)\.")


def layer_of(name: str) -> str:
    """The part of a network that a parameter belongs to: `embeddings`, `layer.0` and so on from below, `head`."""
    if found := _LAYER.search(name):
        return f"layer.{found[1]}"
    if ".embeddings." in name:
        return "embeddings"
    return "encoder" if ".encoder." in name else "head"


def layer_norms(module: nn.Module) -> dict[str, float]:
    """The L2 norm of the gradient in each part, before clipping; their squares add up to that of the whole."""
    parts: dict[str, list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            parts.setdefault(layer_of(name), []).append(parameter)
    norms = {part: nn.utils.get_total_norm([p.grad for p in own if p.grad is not None]) for part, own in parts.items()}
    return {part: float(sharding.whole(norm)) for part, norm in norms.items()}
