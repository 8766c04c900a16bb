"""What a new model is made from: a pretrained BERT, or a baseline network's options. Heads are asked of either."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bertkit.errors import ConfigError
from bertkit.models.classification import Pooling, load_classifier, new_classifier
from bertkit.models.losses import Problem
from bertkit.models.network import Classifier, Network, holds_network
from bertkit.models.spans import load_span_model, new_span_model
from bertkit.models.tagging import load_tagger, new_tagger
from bertkit.models.token_networks import SpanFinder, Tagger
from bertkit.text.vocabulary import read_vocabulary


class ModelSource(ABC):
    """Makes new models; which head, the kind of task says."""

    @abstractmethod
    def classifier(
        self, labels: Sequence[str], *, problem: Problem, window_pooling: Pooling | None, pairs: bool
    ) -> Any:
        """A model with one vector a text below its head, over `labels` or of one number."""

    @abstractmethod
    def tagger(self, labels: list[str], *, head: Literal["softmax", "crf"], constrained: bool) -> Any:
        """A model with BIO `labels` for tokens."""

    @abstractmethod
    def span_model(self) -> Any:
        """A model that points at the first and last token of an answer."""


@dataclass(frozen=True, slots=True)
class BertSource(ModelSource):
    """The BERT in `folder`; the rest as `bert.new_head` has it."""

    folder: Path
    init: Literal["pretrained", "random"]
    dropout: float | None
    seed: int
    reinit_layers: int | None
    matching_heads: int = 0

    def classifier(
        self, labels: Sequence[str], *, problem: Problem, window_pooling: Pooling | None, pairs: bool
    ) -> Any:
        options = {**self._start, "matching_heads": self.matching_heads}
        return new_classifier(self.folder, labels, problem=problem, window_pooling=window_pooling, **options)

    def tagger(self, labels: list[str], *, head: Literal["softmax", "crf"], constrained: bool) -> Any:
        return new_tagger(self.folder, labels, head=head, constrained=constrained, **self._start)

    def span_model(self) -> Any:
        return new_span_model(self.folder, **self._start, matching_heads=self.matching_heads)

    @property
    def _start(self) -> dict[str, Any]:
        return {"init": self.init, "dropout": self.dropout, "reinit_layers": self.reinit_layers, "seed": self.seed}


@dataclass(frozen=True, slots=True)
class KnownVectors:
    """Vectors to begin with: `values` (words, width) for the token ids `ids` (words,)."""

    ids: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NetworkSource(ModelSource):
    """A new network over the vocabulary in `folder`; `facts` are those of `Network` that options decide."""

    folder: Path
    facts: Mapping[str, Any]
    seed: int
    vectors: KnownVectors | None = None

    def classifier(
        self, labels: Sequence[str], *, problem: Problem, window_pooling: Pooling | None, pairs: bool
    ) -> Any:
        if window_pooling is not None:
            raise ConfigError(
                "classification.window_pooling is for a BERT, whose length is bounded",
                remedy="Raise max_seq_length instead: this backbone reads texts of any length.",
            )
        count = 1 if problem == "regression" else len(labels)
        return self._made(Classifier, {"num_labels": count, "problem_type": problem, "pairs": pairs})

    def tagger(self, labels: list[str], *, head: Literal["softmax", "crf"], constrained: bool) -> Any:
        own = {"labels": labels, "tagging_head": head, "tagging_constrained": constrained}
        return self._made(Tagger, own)

    def span_model(self) -> Any:
        return self._made(SpanFinder, {})

    def _made(self, cls: type[Network], own: dict[str, Any]) -> Network:
        vocabulary = read_vocabulary(self.folder)
        sizes = {"vocab_size": vocabulary.size, "pad_token_id": vocabulary.pad}
        torch.manual_seed(self.seed)
        network = cls({**self.facts, **sizes, **own})
        if self.vectors is not None:
            self._fill(network, self.vectors)
        return network

    @staticmethod
    def _fill(network: Network, known: KnownVectors) -> None:
        """Words without a vector get a random one of the same variance (Kim 2014)."""
        embeddings = network.get_input_embeddings()
        spread = float(np.sqrt(3.0 * known.values.var()))
        table = torch.empty(network.config.vocab_size, embeddings.embedding_dim).uniform_(-spread, spread)
        table[torch.from_numpy(known.ids)] = torch.from_numpy(known.values)
        embeddings.fill(table)


def trained_classifier(folder: Path) -> Any:
    """The classifier that training left in `folder`, complete."""
    return Classifier.load(folder) if holds_network(folder) else load_classifier(folder)


def trained_tagger(folder: Path) -> Any:
    """The tagger that training left in `folder`, complete."""
    return Tagger.load(folder) if holds_network(folder) else load_tagger(folder)


def trained_span_model(folder: Path) -> Any:
    """The span model that training left in `folder`, complete."""
    return SpanFinder.load(folder) if holds_network(folder) else load_span_model(folder)
