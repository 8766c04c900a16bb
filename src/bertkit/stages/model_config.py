"""Options of finetune's block `model`: which backbone, and what it is made of."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bertkit.config import Config, runtime
from bertkit.errors import ConfigError
from bertkit.stages.training_config import Positive, Share

# What `dropout` is where it is not set: before the head and, where there are several, between layers.
_DROPOUT = {"textcnn": 0.5, "rnn": 0.5, "transformer": 0.1, "bag": 0.0}


class EmbeddingsConfig(Config):
    """The vectors of tokens."""

    size: Positive | None = None
    """Numbers in a vector; by default those of the vectors given, else 128."""
    channels: Literal["static", "non_static", "multichannel"] = "non_static"
    """`static` keeps the vectors given as they are, `non_static` goes on learning them, `multichannel` does both (Kim
    2014)."""
    vectors_file: Path | None = runtime(None)
    """Word vectors to begin with: a word2vec text or binary file, or a GloVe text file."""
    unit_vectors: bool = False
    """Bring the vectors given to length 1. Those of word2vec grow long in training, and what is long hardly learns."""
    dropout: Share = 0.0
    """Dropout on the vectors."""

    def identity(self) -> dict[str, Any]:
        """Without unit vectors as before there were any: what was trained then keeps its name."""
        return {name: value for name, value in super().identity().items() if name != "unit_vectors" or value}


class WordsConfig(Config):
    """Words as units, where no tokenizer is given: those of the training split, and those that have a vector."""

    lowercase: bool = True
    """Whether case is lost."""
    min_count: Positive = 1
    """Words that are rarer in the training split are unknown, unless they have a vector."""
    max_size: Positive = 100_000
    """At most so many words of the training split, the most frequent."""
    chinese_units: Literal["character", "word"] = "character"
    """What counts as a word of Chinese text; words need the extra `zh`."""


class CharactersConfig(Config):
    """How tokens to tag are spelt, read by a convolution over their bytes (Ma & Hovy 2016)."""

    size: Positive = 30
    """Numbers in the vector of a byte."""
    num_filters: Positive = 30
    """Filters, and so numbers in the vector of a spelling."""
    filter_width: Positive = 3
    """Bytes that a filter sees."""
    max_bytes: Positive = 40
    """Bytes read of a token; longer ones are counted."""


class TextCNNConfig(Config):
    """Convolutions (Kim 2014)."""

    filter_widths: list[Positive] = Field(default=[3, 4, 5], min_length=1)
    """How many tokens a filter sees."""
    num_filters: Positive = 100
    """Filters of each width."""
    pooling: Literal["max", "kmax", "mean", "l2", "attention"] = "max"
    """What is kept of a filter over the text: its greatest value, its `k` greatest in order, mean, norm, or a mean with
    learnt weights."""
    k: Positive = 1
    """Values that kmax keeps."""
    norm: Literal["none", "batch", "layer"] = "none"
    """Normalisation before the activation; for `batch`, each batch is computed at once in one process."""
    activation: Literal["relu", "leaky_relu", "elu", "tanh", "sigmoid", "gelu"] = "relu"
    """What follows a filter."""

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        if self.pooling != "kmax" and "k" in self.model_fields_set:
            raise ValueError(f"k: not read by the pooling {self.pooling}")
        return self


class RNNConfig(Config):
    """Recurrent layers."""

    cell: Literal["rnn", "lstm", "gru"] = "lstm"
    """What is repeated."""
    hidden_size: Positive = 128
    """Numbers in the state of one direction."""
    num_layers: Positive = 1
    """Layers, each over the states of the one below."""
    bidirectional: bool = True
    """Read in both directions."""
    pooling: Literal["max", "mean", "last", "attention"] = "max"
    """What is made of the states of a text: `last` is what is left after reading it."""
    layer_norm: bool = False
    """Normalise the states of the last layer."""


class TransformerConfig(Config):
    """An encoder of self-attention, from random weights."""

    hidden_size: Positive = 128
    """Numbers in a state."""
    num_layers: Positive = 2
    """Layers."""
    num_heads: Positive = 4
    """Heads of attention in a layer."""
    intermediate_size: Positive = 512
    """Width within a layer."""
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    """How places are told apart; learned ones reach to `max_seq_length`."""
    norm: Literal["pre", "post"] = "pre"
    """Normalise what a part reads, or its sum with what it made of it, as the paper does."""
    pooling: Literal["max", "mean", "attention"] = "mean"
    """What is made of the states of a text."""

    @model_validator(mode="after")
    def _heads_share_the_state(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} does not divide among {self.num_heads} heads")
        return self


class BagConfig(Config):
    """The mean of the words' vectors, as fastText has it."""

    ngrams: Annotated[int, Field(ge=1, le=5)] = 2
    """Longest sequences of words that have a vector too."""
    buckets: Positive = 100_000
    """Vectors that these share by their hash."""


class ModelConfig(Config):
    """What the network is; a block that the backbone does not read is an error."""

    backbone: Literal["bert", "textcnn", "rnn", "transformer", "bag"] = "bert"
    """`bert` is the one in the input `start`, the others are trained from random weights."""
    embeddings: EmbeddingsConfig = EmbeddingsConfig()
    """The vectors of tokens, in all but BERTs."""
    words: WordsConfig = WordsConfig()
    """Words as units, in all but BERTs."""
    characters: CharactersConfig | None = None
    """How tokens are spelt, beside which they are; in tagging."""
    textcnn: TextCNNConfig = TextCNNConfig()
    """Convolutions."""
    rnn: RNNConfig = RNNConfig()
    """Recurrent layers."""
    transformer: TransformerConfig = TransformerConfig()
    """Self-attention."""
    bag: BagConfig = BagConfig()
    """The mean of word vectors."""

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        read = (
            {"backbone", "embeddings", "words", "characters", self.backbone}
            if self.backbone != "bert"
            else {"backbone"}
        )
        if unread := sorted(self.model_fields_set - read):
            raise ValueError(f"{', '.join(unread)}: not read by the backbone {self.backbone}")
        return self

    def check_kind(self, kind: str) -> None:
        """Refuse what a task of this kind does not read.

        Raises:
            ConfigError: spelling is given and it is not tagging, or pooling and it has no one vector of a text.
        """
        if self.characters is not None and kind != "tagging":
            raise ConfigError(f"model.characters is for tagging, and this is a task of kind {kind!r}")
        block: Config | None = getattr(self, self.backbone, None)
        if kind == "classification" or block is None:
            return
        if unread := sorted({"pooling", "k"} & block.model_fields_set):
            names = ", ".join(f"model.{self.backbone}.{name}" for name in unread)
            what = f"{names}: makes one vector of a text, which a task of kind {kind!r} does not read"
            raise ConfigError(what, remedy="Leave it out: each token's state is read.")

    @property
    def normalises_batches(self) -> bool:
        """Whether what a text becomes in training depends on those computed with it."""
        return self.backbone == "textcnn" and self.textcnn.norm == "batch"

    @property
    def display_name(self) -> str:
        """What reports call it."""
        if self.backbone == "rnn":
            return ("Bi" if self.rnn.bidirectional else "") + self.rnn.cell.upper()
        return {"textcnn": "TextCNN", "transformer": "Transformer", "bag": "Bag of words"}[self.backbone]

    def facts(self, *, size: int | None, dropout: float | None, max_seq_length: int) -> dict[str, Any]:
        """What of a `Network` the options decide; `size` is that of given vectors."""
        options = getattr(self, self.backbone).model_dump(mode="json")
        dropout = _DROPOUT[self.backbone] if dropout is None else dropout
        if self.backbone in ("rnn", "transformer"):
            options["dropout"] = dropout
        if self.backbone == "transformer":
            options["max_length"] = max_seq_length
        return {
            "backbone": self.backbone,
            "options": options,
            "embedding_dim": size or self.embeddings.size or 128,
            "channels": self.embeddings.channels,
            "embedding_dropout": self.embeddings.dropout,
            "dropout": dropout,
            "characters": None if self.characters is None else self.characters.model_dump(exclude={"max_bytes"}),
        }
