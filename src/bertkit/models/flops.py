"""How much arithmetic a training step is, counted from the sizes of the model."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from transformers import BertForSequenceClassification

from bertkit.models.network import Network


def flops_of(model: Any) -> Callable[[Mapping[str, Any]], float]:
    """The floating-point operations of a micro-batch's arrays, for a BERT or a baseline."""
    if isinstance(model, Network):
        return model.flops
    return partial(training_flops, model.config, reads_first=isinstance(model, BertForSequenceClassification))


def training_flops(config: Any, arrays: Mapping[str, Any], *, reads_first: bool = False) -> float:
    """Floating-point operations of a BERT's micro-batch, forward and backward, as the model's formula needs them.

    `config` has `BertConfig`'s sizes, `arrays` are those of a `collate`; `reads_first`: the head reads [CLS] alone. Matrix products alone are counted, two
    operations for a multiplication and an addition, and twice the forward's work for the backward:

    - 6 x (4 hidden^2 + 2 hidden x intermediate) for every computed token, padding included, and layer;
    - 12 x hidden x length^2 for every sequence and layer: attention;
    - of the last layer where few states are read, those `picked` or the first, keys and values of every token and all
      else of so many;
    - 6 x (hidden^2 + hidden x vocabulary) for every masked token, the only ones whose words are predicted;
    - 6 x (hidden^2 + labels x hidden) for every sequence: the pooler and its classifier.

    What is computed twice to save memory counts once, so that less memory does not look like more speed.
    """
    rows, width = arrays["input_ids"].shape
    hidden, layers = config.hidden_size, config.num_hidden_layers
    per_token = 4 * hidden**2 + 2 * hidden * config.intermediate_size
    picks = arrays["picked"].shape[1] if "picked" in arrays else (1 if reads_first else width)
    keys = 6 * 2 * hidden**2 * rows * width
    encoder = layers * keys
    for asking in (*[width] * (layers - 1), picks):
        encoder += 6 * (per_token - 2 * hidden**2) * rows * asking + 12 * hidden * rows * asking * width
    pooled = 6 * rows * (hidden**2 + config.num_labels * hidden)
    masked = len(arrays["masked_labels"]) if "masked_labels" in arrays else 0
    return float(encoder + pooled + 6 * masked * (hidden**2 + hidden * config.vocab_size))
