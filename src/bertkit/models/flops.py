"""How much arithmetic a training step of a BERT is, counted from its sizes."""

from collections.abc import Mapping
from typing import Any


def training_flops(config: Any, arrays: Mapping[str, Any]) -> float:
    """Floating-point operations of a micro-batch, forward and backward, as the model's formula needs them.

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
