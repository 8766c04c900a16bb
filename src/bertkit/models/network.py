"""Baseline networks: embeddings and a backbone below a head, saved as `network.json` and `model.safetensors`."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertkit import storage
from bertkit.errors import StageError
from bertkit.models.bag import Bag
from bertkit.models.characters import CharacterCNN
from bertkit.models.dropout import Dropout
from bertkit.models.embeddings import NGramEmbeddings, WordEmbeddings
from bertkit.models.objective import Batch, GraphInputs
from bertkit.models.rnn import RNN
from bertkit.models.textcnn import TextCNN
from bertkit.models.transformer import Transformer

FILE = "network.json"

_ENCODERS: dict[str, type[nn.Module]] = {"textcnn": TextCNN, "rnn": RNN, "transformer": Transformer, "bag": Bag}


class Backbone(nn.Module):
    """Token ids to a state for each token, and those of a text to one vector.

    `facts` are a network's, see `Network`; `extra` is how much wider than the embeddings the encoder's input is.
    """

    def __init__(self, facts: Mapping[str, Any], *, extra: int = 0) -> None:
        super().__init__()
        options, width = dict(facts["options"]), facts["embedding_dim"]
        ngrams = {name: options.pop(name) for name in ("ngrams", "buckets") if name in options}
        self.embeddings = WordEmbeddings(
            facts["vocab_size"], width, pad=facts["pad_token_id"], channels=facts["channels"]
        )
        self.ngrams = NGramEmbeddings(width, **ngrams) if ngrams.get("ngrams", 1) > 1 else None
        spelling = facts.get("characters")
        self.characters = CharacterCNN(**spelling) if spelling is not None else None
        self.dropout = Dropout(facts["embedding_dropout"])
        extra += self.characters.width if self.characters is not None else 0
        self.encoder: Any = _ENCODERS[facts["backbone"]](width + extra, **options)

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings (rows, length, width), 0 at padding, and where tokens are, (rows, length)."""
        ids, real = batch["input_ids"], real_tokens(batch)
        embedded = self.embeddings(ids)
        if self.ngrams is not None:
            embedded = embedded + self.ngrams(ids, batch["token_type_ids"])
        if self.characters is not None:
            embedded = torch.cat([embedded, self.characters(batch["spellings"], batch["spelling"])], -1)
        return self.dropout(embedded) * real[..., None], real


def real_tokens(batch: Batch) -> Tensor:
    """Where a row holds tokens, (rows, length); they stand before its padding."""
    mask = batch.get("attention_mask")
    return torch.ones_like(batch["input_ids"], dtype=torch.bool) if mask is None else mask.bool()


class Network(nn.Module):
    """A backbone and a head; `facts`, plain JSON values, say all that makes it, and `config` has them as attributes.

    Of every network: `backbone`, its `options`, `vocab_size`, `pad_token_id`, `embedding_dim`, `channels`,
    `embedding_dropout` and `dropout`; `characters`, where tokens come with their spelling. Parameters outside `backbone` are the head's, as training recipes know by
    `base_model_prefix`.
    """

    base_model_prefix = "backbone"

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__()
        self.facts = dict(facts)
        self.config = SimpleNamespace(**facts, num_hidden_layers=0)  # none that recipes could tell apart

    def get_input_embeddings(self) -> WordEmbeddings:
        """What turns token ids into vectors."""
        found: WordEmbeddings = self.backbone.embeddings  # type: ignore[union-attr, assignment]
        return found

    @property
    def graph_inputs(self) -> GraphInputs:
        """As of `TaskObjective`."""
        tokens, backbone = ("rows", "length"), self.backbone
        found: GraphInputs = {"input_ids": tokens, "attention_mask": tokens}
        if backbone.ngrams is not None or self.facts.get("pairs"):  # type: ignore[union-attr]
            found["token_type_ids"] = tokens
        if backbone.characters is not None:  # type: ignore[union-attr]
            found |= {"spelling": tokens, "spellings": ("spellings", "bytes")}
        return found

    def flops(self, arrays: Mapping[str, Any]) -> float:
        """Floating-point operations of a micro-batch, forward and backward: of products with matrices, at every place."""
        tables = {id(table.weight) for table in self.modules() if isinstance(table, nn.Embedding)}
        matrices = sum(p.numel() for p in self.parameters() if p.ndim > 1 and id(p) not in tables)
        return float(6 * matrices * arrays["input_ids"].size)

    def save_pretrained(self, out: Path) -> None:
        """Write `network.json` and `model.safetensors`."""
        storage.write_json(out / FILE, self.facts)
        save_file({name: tensor.detach().contiguous() for name, tensor in self.state_dict().items()}, out / _WEIGHTS)
        storage.share_like(out / _WEIGHTS, out / FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save_pretrained` wrote.

        Raises:
            StageError: the weights do not fit `network.json`.
        """
        network = cls(json.loads((folder / FILE).read_text(encoding="utf-8")))
        try:
            network.load_state_dict(load_file(folder / _WEIGHTS))
        except (OSError, RuntimeError, SafetensorError) as e:
            raise StageError(f"does not hold the weights of {FILE}: {e}", where=str(folder / _WEIGHTS)) from None
        return network


_WEIGHTS = "model.safetensors"


def holds_network(folder: Path) -> bool:
    """Whether a model's folder holds a baseline network, not a BERT."""
    return (folder / FILE).is_file()


class Classifier(Network):
    """A label, several or a number for a text, or for a pair of texts.

    The texts of a pair are encoded each by itself with the same weights, to vectors u and v of which the head reads u, v,
    |u - v| and u * v (Mou et al. 2016; Conneau et al. 2017). `facts` add `num_labels`, `problem_type` and `pairs`.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__(facts)
        self.backbone = Backbone(facts)
        self.dropout = Dropout(facts["dropout"])
        width = self.backbone.encoder.pool.width
        self.classifier = nn.Linear(4 * width if facts["pairs"] else width, facts["num_labels"])

    def forward(self, batch: Batch) -> Tensor:
        """Logits, (rows, labels)."""
        embedded, real = self.backbone.embed(batch)
        if self.config.pairs:
            embedded, real = split_pairs(embedded, real, batch["token_type_ids"])
        encoder = self.backbone.encoder
        vectors = encoder.pool(encoder(embedded, real), real)
        if self.config.pairs:
            u, v = vectors.unflatten(0, (2, -1)).unbind()
            vectors = torch.cat([u, v, (u - v).abs(), u * v], -1)
        logits: Tensor = self.classifier(self.dropout(vectors))
        return logits


def split_pairs(embedded: Tensor, real: Tensor, types: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of two texts, which `types` tell apart, as rows of one: all first texts, then all second ones."""
    second = real & types.bool()
    first = real & ~second
    sizes = torch.cat([first.sum(1), second.sum(1)])
    # As few places as the longest text takes; an exported graph can only have all.
    length = embedded.shape[1] if torch.compiler.is_exporting() else int(sizes.max())
    places = torch.arange(length, device=embedded.device)
    begins = (first.sum(1)[:, None] + places).clamp_max(embedded.shape[1] - 1)
    texts = torch.cat([embedded[:, :length], embedded.gather(1, begins[..., None].expand(-1, -1, embedded.shape[2]))])
    present = places < sizes[:, None]
    return texts * present[..., None], present
