"""How much arithmetic a training step is, counted from the sizes of the model."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bertkit.models.network import Network


def flops_of(model: Any) -> Callable[[Mapping[str, Any]], float]:
    """The floating-point operations of a micro-batch's arrays, for a BERT or a baseline."""
    return model.flops if isinstance(model, Network) else partial(training_flops, model.config)


def training_flops(config: Any, arrays: Mapping[str, Any]) -> float:
    """Floating-point operations of a BERT's micro-batch, forward and backward, as the model's formula needs them.

    `config` has `BertConfig`'s sizes, `arrays` are those of a `collate`. Matrix products alone are counted, two
    operations for a multiplication and an addition, and twice the forward's work for the backward:

    - 6 x (4 hidden^2 + 2 hidden x intermediate) for every computed token, padding included, and layer;
    - 12 x hidden x length^2 for every sequence and layer: attention;
    - 6 x (hidden^2 + hidden x vocabulary) for every masked token, the only ones whose words are predicted;
    - 6 x (hidden^2 + labels x hidden) for every sequence: the pooler and its classifier.

    What is computed twice to save memory counts once, so that less memory does not look like more speed.
    """
    rows, width = arrays["input_ids"].shape
    hidden, layers = config.hidden_size, config.num_hidden_layers
    per_token = 4 * hidden**2 + 2 * hidden * config.intermediate_size
    encoder = layers * (6 * per_token * rows * width + 12 * hidden * rows * width**2)
    pooled = 6 * rows * (hidden**2 + config.num_labels * hidden)
    masked = len(arrays["masked_labels"]) if "masked_labels" in arrays else 0
    return float(encoder + pooled + 6 * masked * (hidden**2 + hidden * config.vocab_size))
