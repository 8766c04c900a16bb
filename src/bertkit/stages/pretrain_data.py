"""Stage `pretrain_data`: tokenize a corpus once into the token store."""

import logging
import os
from functools import partial
from itertools import islice
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bertkit import storage
from bertkit.artifacts import Corpus, PretrainData, Tokenizer
from bertkit.config import Config, runtime
from bertkit.errors import HostError
from bertkit.stage import stage

if TYPE_CHECKING:
    from bertkit.data.token_store import EncodedDocuments
    from bertkit.text.encoders import BulkEncoder

log = logging.getLogger(__name__)

# Sentences of the corpus on which a faster encoder must agree before it is used.
_PROBED = 3000


class PretrainDataConfig(Config):
    """The store depends on the corpus and the tokenizer; pairs, masks and lengths belong to `pretrain`."""

    word_segmenter: Literal["none", "rjieba"] = "none"
    """Whose words whole-word masking keeps together: those that are written with spaces, or those that `rjieba` finds in
    Chinese text (`pip install "bertkit[zh]"`)."""

    num_workers: int | None = runtime(None, ge=0)
    """Processes that tokenize; 0 or 1 for none beside the main one; null for one a core, at most 8, where that is faster:
    not with `nanotoken`."""

    encoder: Literal["auto", "tokenizers", "nanotoken"] = runtime("auto")
    """What tokenizes: `nanotoken` (`pip install "bertkit[fast]"`) is many times faster. It is used when it gives the ids
    of `tokenizers` for a probe, and checked on the way; `auto` uses it when it is installed. With a
    `word_segmenter`, `tokenizers` is used in any case."""


@stage("pretrain_data", version=2)
def pretrain_data(config: PretrainDataConfig, corpus: Corpus, tokenizer: Tokenizer, *, out: Path) -> PretrainData:
    """Tokenize a corpus once, into flat files that pretraining maps into memory."""
    from bertkit.data.token_store import token_dtype
    from bertkit.text.encoders import DifferenceError
    from bertkit.text.vocabulary import read_vocabulary

    vocabulary = read_vocabulary(tokenizer.path)
    encoder = _choose_encoder(config, corpus, tokenizer)
    try:
        counts = _write(config, corpus, encoder, out, vocabulary.size)
    except DifferenceError as e:
        _warn(str(e))
        encoder = _slow_encoder(config, tokenizer)
        counts = _write(config, corpus, encoder, out, vocabulary.size)
    meta = {
        "vocab_size": vocabulary.size,
        "dtype": token_dtype(vocabulary.size).name,
        "tokenizer": tokenizer.fingerprint,
        "word_segmenter": config.word_segmenter,
        "counts": counts,
    }
    storage.write_json(out / "meta.json", meta)
    return PretrainData(out)


def _choose_encoder(config: PretrainDataConfig, corpus: Corpus, tokenizer: Tokenizer) -> "BulkEncoder":
    """`nanotoken` where it is asked for or installed, and proven for this tokenizer."""
    from bertkit.text.encoder_parity import first_difference
    from bertkit.text.encoders import BulkEncoder

    slow = _slow_encoder(config, tokenizer)
    if config.encoder == "tokenizers" or config.word_segmenter != "none":
        return slow  # words are found by offsets, which nanotoken does not give
    fast = BulkEncoder(tokenizer.path, "nanotoken")
    try:
        candidate = fast.twin
    except HostError:
        if config.encoder == "nanotoken":
            raise
        return slow
    except ValueError as e:
        log.warning("nanotoken cannot read this tokenizer (%s); tokenizers is used", e)
        return slow
    sentences = (sentence for _, document in corpus.documents("train") for sentence in document)
    if (text := first_difference(fast.reference, candidate, islice(sentences, _PROBED))) is not None:
        _warn(text)
        return slow
    return fast


def _slow_encoder(config: PretrainDataConfig, tokenizer: Tokenizer) -> "BulkEncoder":
    from bertkit.text.encoders import BulkEncoder
    from bertkit.text.words import load_segmenter

    if config.word_segmenter == "rjieba":
        load_segmenter()  # missing, it should be missed now
    return BulkEncoder(tokenizer.path, "tokenizers", config.word_segmenter)


def _warn(text: str) -> None:
    log.warning("nanotoken and tokenizers read %r differently; tokenizers is used", text[:200])


def _write(
    config: PretrainDataConfig, corpus: Corpus, encoder: "BulkEncoder", out: Path, vocab_size: int
) -> dict[str, Any]:
    """Both splits; returns their counts."""
    from bertkit.data.token_store import write_split
    from bertkit.data.worker_pool import ordered_map

    workers = config.num_workers
    if workers is None:
        workers = 0 if encoder.package == "nanotoken" else min(os.cpu_count() or 1, 8)
    encode = partial(_encode_row_group, encoder=encoder)
    return {
        split: write_split(out, split, ordered_map(encode, corpus.row_groups(split), workers), vocab_size=vocab_size)
        for split in ("train", "heldout")
    }


def _encode_row_group(group: tuple[Path, int], *, encoder: "BulkEncoder") -> "EncodedDocuments":
    import numpy as np

    from bertkit.data.token_store import encode_documents
    from bertkit.text.encoders import stay_loaded

    texts, sizes = Corpus.read_row_group(*group)
    in_worker = parent_process() is not None
    return encode_documents(texts, np.array(sizes, dtype=np.int64), stay_loaded(encoder) if in_worker else encoder)
