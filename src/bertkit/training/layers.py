"""What each layer of an encoder learns at: decaying learning rates, frozen layers, gradual unfreezing."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

from torch import nn

from bertkit.data.batching import Position
from bertkit.errors import ConfigError

_LAYER = re.compile(r"\bencoder\.layer\.(\d+)\.")


def depth(name: str, *, layers: int, base: str = "bert") -> int:
    """How far below the head a parameter lies: 0 is the head or the pooler, 1 the top layer, `layers` + 1 an embedding."""
    if found := _LAYER.search(name):
        return layers - int(found[1])
    return layers + 1 if f"{base}.embeddings." in name else 0


def learning_rate_factors(
    *, layers: int, decay: float = 1.0, head: float = 1.0, base: str = "bert"
) -> Callable[[str], float]:
    """A parameter's share of the learning rate, by name: `decay` for each layer it lies below the head.

    `head` is the share of what the task added, outside the encoder (Howard & Ruder 2018, discriminative fine-tuning).
    """

    def factor(name: str) -> float:
        return decay ** depth(name, layers=layers, base=base) if f"{base}." in name else head

    return factor


def freeze(model: Any, count: int) -> None:
    """Take embeddings and the first `count` layers out of training: no gradients, and no backward pass through them.

    Raises:
        ConfigError: the model has fewer layers.
    """
    layers = model.config.num_hidden_layers
    if count > layers:
        raise ConfigError(f"layers.freeze_layers is {count}, and the model has {layers} layers")
    for name, parameter in model.named_parameters():
        if depth(name, layers=layers, base=model.base_model_prefix) > layers - count:
            parameter.requires_grad_(False)


def gradual_unfreezing(model: Any, every: int | Literal["epoch"]) -> Callable[[Position], AbstractContextManager[None]]:
    """Leave gradients to the head alone at first, then to one layer more from the top each epoch, or `every` steps.

    Returns:
        What a `Recipe` has in `around`. The gradients are dropped, not left out: which layers learn is a function of the
        position alone, and processes exchange the same ones throughout.
    """
    layers = model.config.num_hidden_layers
    named: list[tuple[int, nn.Parameter]] = [
        (depth(name, layers=layers, base=model.base_model_prefix), parameter)
        for name, parameter in model.named_parameters()
    ]

    @contextmanager
    def around(position: Position) -> Iterator[None]:
        yield
        learning = position.epoch if every == "epoch" else (position.step - 1) // every
        for below, parameter in named:
            if below > learning:
                parameter.grad = None

    return around
