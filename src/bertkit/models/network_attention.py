"""The attention weights of a baseline network, to look at: of its layers, its pooling, and of what reads a question."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bertkit.errors import StageError
from bertkit.models.network import FILE, Classifier, Network
from bertkit.models.objective import Batch
from bertkit.models.token_networks import SpanFinder, Tagger
from bertkit.models.transformer import Transformer


@dataclass(frozen=True, slots=True)
class NetworkWeights:
    """What the tokens of one text, or of a pair, take from each other; what is taken adds up to 1.

    `layers`, shape (layers, heads, length, length), of a transformer, no layers otherwise: row i is what token i takes.
    `question`, (length, length), of a `SpanFinder`: what each token takes from those of the question. `shares`, each
    (length,): of which tokens one vector is made, `text` by pooling, of a pair each text by itself, and `question`.
    """

    layers: Tensor
    question: Tensor | None = None
    shares: dict[str, Tensor] = field(default_factory=dict)


def has_attention(facts: dict[str, Any]) -> bool:
    """Whether a network that `facts` make has weights to look at."""
    pools = _class(facts) is Classifier and facts["options"].get("pooling") == "attention"
    return facts["backbone"] == "transformer" or _class(facts) is SpanFinder or pools


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts of the network in `folder`."""
    found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return found


def load_attentive(folder: Path) -> Network:
    """The network in `folder`, ready to be looked at.

    Raises:
        StageError: it has no attention, or its input cannot be made of a text alone.
    """
    facts = read_facts(folder)
    backbone, pooling = facts["backbone"], facts["options"].get("pooling")
    if not has_attention(facts):
        pooled = f" with pooling {pooling!r}" if pooling and _class(facts) is Classifier else ""
        raise StageError(
            f"the backbone {backbone!r}{pooled} has no attention to look at",
            where=str(folder),
            remedy="A BERT has, model.backbone=transformer, every baseline that finds spans, and for classification "
            "model.rnn.pooling=attention or model.textcnn.pooling=attention.",
        )
    if facts.get("characters") is not None:
        raise StageError(
            "the network reads how tokens are spelt: its attention is not drawn",
            where=str(folder),
            remedy="Look at one without model.characters.",
        )
    return _class(facts).load(folder).eval()


def network_weights(network: Network, batch: Batch) -> NetworkWeights:
    """The weights of one row.

    Args:
        network: of `load_attentive`.
        batch: `input_ids` and `token_type_ids`, each of shape (1, length).
    """
    layers: list[Tensor] = []
    shares: dict[str, Tensor] = {}
    question = None
    encoder: Any = network.backbone.encoder  # type: ignore[union-attr]
    sizes = [batch["input_ids"].shape[1]]
    if network.facts.get("pairs"):
        second = int(batch["token_type_ids"].sum())
        sizes = [sizes[0] - second, second]
    hooks = []
    if isinstance(encoder, Transformer):
        for layer in encoder.layers:
            hooks.append(layer.register_forward_pre_hook(lambda m, given: layers.append(m.weights(*given))))
    if getattr(encoder.pool, "attends", False):
        hooks.append(
            encoder.pool.register_forward_pre_hook(
                lambda m, given: shares.update(text=_end_to_end(m.weights(*given), sizes))
            )
        )
    try:
        with torch.inference_mode():
            if isinstance(network, SpanFinder):
                begins = (batch["token_type_ids"] == 0).sum(1)
                _, question, share = network.read({**batch, "context_begins": begins})
                question, shares["question"] = question[0], share[0]
            elif isinstance(network, Tagger):
                network.states(batch)
            else:
                network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    joined = [_side_by_side(layer, sizes) for layer in layers]
    return NetworkWeights(torch.stack(joined) if joined else torch.zeros(0, 0, 0, 0), question, shares)


def _class(facts: dict[str, Any]) -> type[Network]:
    """A classifier's facts have `num_labels`, a tagger's `tagging_head`."""
    return Classifier if "num_labels" in facts else Tagger if "tagging_head" in facts else SpanFinder


def _end_to_end(weights: Tensor, sizes: list[int]) -> Tensor:
    """Weights (texts, length) of texts as many tokens long as `sizes` say, as one row."""
    return torch.cat([row[:size] for row, size in zip(weights, sizes, strict=True)])


def _side_by_side(weights: Tensor, sizes: list[int]) -> Tensor:
    """Weights (texts, heads, length, length) as (heads, tokens, tokens): no token takes from another text."""
    whole = weights.new_zeros(weights.shape[1], sum(sizes), sum(sizes))
    start = 0
    for text, size in zip(weights, sizes, strict=True):
        whole[:, start : start + size, start : start + size] = text[:, :size, :size]
        start += size
    return whole
