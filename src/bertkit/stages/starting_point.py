"""What a run of finetune begins with: a BERT's folder, or a new network over a tokenizer's pieces or over words."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertkit.artifacts import Checkpoint, Tokenizer, WordVectors
from bertkit.errors import ConfigError, StageError
from bertkit.stages.finetune_config import FinetuneConfig

if TYPE_CHECKING:
    from bertkit.kinds.base import Kind
    from bertkit.models.sources import ModelSource

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """`folder` holds the tokenizer, `source` makes the model, `facts` go into `predictor.json`."""

    folder: Path
    source: "ModelSource"
    facts: dict[str, Any]


def check_inputs(config: FinetuneConfig, given: set[str]) -> None:
    """Refuse inputs that the backbone does not read, by their names.

    Raises:
        ConfigError: with what to give.
    """
    backbone, inputs = config.model.backbone, given - {"data"}
    if backbone == "bert":
        if inputs != {"start"}:
            named = f"given is {', '.join(sorted(inputs))}" if inputs else "nothing is given"
            raise ConfigError(
                f"a BERT starts from the input `start`, and {named}",
                remedy="Give start alone, a checkpoint or a Hugging Face folder; or choose another model.backbone.",
            )
    elif "start" in inputs:
        raise ConfigError(
            f"{backbone} starts from random weights, and `start` is given",
            remedy="Give tokenizer, for a network over word pieces; nothing, for one over words; or vectors. In a "
            "pipeline STAGE.inputs.start=null takes start back.",
        )
    elif "tokenizer" in inputs and ("vectors" in inputs or config.model.embeddings.vectors_file is not None):
        raise ConfigError(
            "word vectors are for words, and `tokenizer` makes word pieces", remedy="Leave one of the two out."
        )


def bert_start(config: FinetuneConfig, start: Checkpoint, kind: "Kind") -> StartingPoint:
    """A BERT that fits task and options."""
    from bertkit.models.bert import check_ids, require_bert
    from bertkit.models.sources import BertSource
    from bertkit.text.vocabulary import read_vocabulary

    model = require_bert(start.path)
    check_ids(read_vocabulary(start.path).size, model["vocab_size"], start.path)
    if config.max_seq_length > model["max_position_embeddings"]:
        raise ConfigError(
            f"max_seq_length {config.max_seq_length} is over the model's {model['max_position_embeddings']} positions",
            where=str(start.path),
        )
    if len(kind.columns) > model.get("type_vocab_size", 2):
        raise StageError(
            "has an embedding for one segment only (type_vocab_size 1), and a pair has two",
            where=str(start.path),
            remedy="Start from a model that was pretrained on pairs.",
        )
    if config.matching_heads and len(kind.columns) < 2:
        raise ConfigError("matching_heads compare two texts, and this task has one", remedy="Leave matching_heads out.")
    source = BertSource(
        start.path, config.init, config.dropout, config.seed, config.reinit_layers, config.matching_heads
    )
    return StartingPoint(start.path, source, {})


def network_over_pieces(config: FinetuneConfig, tokenizer: Tokenizer) -> StartingPoint:
    """A new network that reads the tokenizer's word pieces."""
    from bertkit.models.sources import NetworkSource

    _refuse_options_of_vectors(
        config, "Give the input vectors, or model.embeddings.vectors_file, instead of tokenizer."
    )
    if "words" in config.model.model_fields_set:
        raise ConfigError(
            "model.words is not read where `tokenizer` makes word pieces", remedy="Leave one of the two out."
        )
    facts = config.model.facts(size=None, dropout=config.dropout, max_seq_length=config.max_seq_length)
    return StartingPoint(tokenizer.path, NetworkSource(tokenizer.path, facts, config.seed), {"input_units": "pieces"})


def network_over_words(
    config: FinetuneConfig, kind: "Kind", rows: dict[str, list[dict[str, Any]]], vectors: WordVectors | None, out: Path
) -> StartingPoint:
    """A new network over words: those of the training split, and those of all `rows` that have a vector.

    Every process writes the same vocabulary into `out`, whole.
    """
    import numpy as np

    from bertkit.models.sources import KnownVectors, NetworkSource
    from bertkit.text import word_level
    from bertkit.text.vocabulary import SPECIAL_TOKENS, read_entries

    block = config.model.words
    tokenizer = partial(
        word_level.word_tokenizer,
        lowercase=block.lowercase,
        chinese_units=block.chinese_units,
        whole=kind.words_are_given,
    )
    split = word_level.splitter(tokenizer([]))
    counts = {
        name: word_level.count_words((text for row in own for text in kind.texts(row)), split)
        for name, own in rows.items()
    }
    words = word_level.frequent(counts["train"], min_count=block.min_count, max_size=block.max_size)
    read = {word for count in counts.values() for word in count}
    # A token that is spelt as a special one is unknown, whatever a file of vectors holds.
    known = _known_vectors(config, vectors, sorted(read - set(SPECIAL_TOKENS)))
    words += sorted(known.keys() - set(words))
    word_level.save(tokenizer(words), out)
    kept = set(words)
    facts = {
        "input_units": "words",
        "words": len(words),
        "words_with_vector": len(known),
        "unknown_share": {
            name: round(1 - sum(n for word, n in count.items() if word in kept) / max(count.total(), 1), 5)
            for name, count in counts.items()
        },
    }
    entries, size, filled = read_entries(out), None, None
    if known:
        log.info("%d of the %d words have a vector", len(known), len(words))
        ids, values = np.array([entries[word] for word in known]), np.stack(list(known.values())).astype(np.float32)
        if config.model.embeddings.unit_vectors:
            lengths = np.linalg.norm(values, axis=1, keepdims=True)
            values /= np.where(lengths > 0, lengths, 1)
        size, filled = values.shape[1], KnownVectors(ids, values)
    made = config.model.facts(size=size, dropout=config.dropout, max_seq_length=config.max_seq_length)
    return StartingPoint(out, NetworkSource(out, made, config.seed, filled), facts)


def _known_vectors(config: FinetuneConfig, vectors: WordVectors | None, words: list[str]) -> dict[str, Any]:
    """The vectors of `words` that have one; a word with capitals that has none takes that of its small letters.

    Raises:
        ConfigError: options of vectors do not fit what is given, or no word has one.
    """
    from bertkit.text.vector_files import read_vectors

    embeddings, wanted = config.model.embeddings, {*words, *(word.lower() for word in words)}
    if vectors is not None and embeddings.vectors_file is not None:
        raise ConfigError("both the input vectors and model.embeddings.vectors_file are given", remedy="Give one.")
    if vectors is not None:
        names, values = vectors.read()
        found = {word: values[i] for i, word in enumerate(names) if word in wanted}
        where = str(vectors.path)
    elif embeddings.vectors_file is not None:
        read = read_vectors(embeddings.vectors_file, wanted)
        found, where = dict(zip(read.words, read.values, strict=True)), str(embeddings.vectors_file)
    else:
        _refuse_options_of_vectors(config, "Give the input vectors, or model.embeddings.vectors_file.")
        return {}
    places = {word: word if word in found else word.lower() for word in words}
    known = {word: found[place] for word, place in places.items() if place in found}
    if not known:
        raise ConfigError("has a vector for no word of the task", where=where, remedy="Check model.words.lowercase.")
    width = len(next(iter(known.values())))
    if embeddings.size not in (None, width):
        raise ConfigError(
            f"model.embeddings.size is {embeddings.size}, the vectors have {width} numbers",
            where=where,
            remedy="Set model.embeddings.size=null: the vectors say it.",
        )
    return known


def _refuse_options_of_vectors(config: FinetuneConfig, remedy: str) -> None:
    embeddings = config.model.embeddings
    if embeddings.channels != "non_static":
        what = f"model.embeddings.channels={embeddings.channels} keeps vectors as given, and none are"
        raise ConfigError(what, remedy=remedy)
    if embeddings.unit_vectors:
        raise ConfigError("model.embeddings.unit_vectors changes the vectors given, and none are", remedy=remedy)
