"""A corpus to a WordPiece tokenizer, proven and measured."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import Field

from bertkit import storage
from bertkit.artifacts import Corpus, Tokenizer
from bertkit.config import Config
from bertkit.stage import stage

log = logging.getLogger(__name__)

# Proof and figures take this much text, spread over the corpus: a few seconds' worth.
_SAMPLE_CHARACTERS = 2_000_000


class TokenizerConfig(Config):
    """How large a vocabulary to learn, and from what characters. The casing fields are `BertTokenizer`'s."""

    vocab_size: int = Field(8000, ge=6)
    """Entries to learn, special tokens counted; a small corpus gives fewer. 8,000 keeps the embeddings of a small model
    in proportion; BERT has 30,522 for English and 21,128 for Chinese."""

    do_lower_case: bool = True
    """Read capitals as small letters."""

    strip_accents: bool | None = None
    """Leave accents out; null does so when `do_lower_case` does."""

    tokenize_chinese_chars: bool = True
    """Make each Chinese character a word of its own, as BERT does."""

    limit_alphabet: int = Field(6000, ge=1)
    """Most characters that get entries of their own, the most frequent first; words with others become [UNK]."""

    character_coverage: float = Field(0.9999, gt=0, le=1)
    """Share of the text that the alphabet must cover; rarer characters get no entry, unless they are ASCII. As in
    SentencePiece."""

    min_frequency: int = Field(2, ge=1)
    """Pairs of pieces seen less often than this are not merged."""

    model_max_length: int = Field(512, ge=2)
    """Longest sequence, in tokens, that users of the tokenizer should make; written into its config."""


@stage("tokenizer", version=1)
def tokenizer(config: TokenizerConfig, corpus: Corpus, *, out: Path) -> Tokenizer:
    """Learn a WordPiece vocabulary; prove that all readers of it agree."""
    from bertkit.text import wordpiece, wordpiece_quality

    casing = wordpiece.Casing(config.do_lower_case, config.strip_accents, config.tokenize_chinese_chars)
    log.info("learning %d WordPiece entries from %s", config.vocab_size, corpus.path)
    tokens, alphabet = wordpiece.train(
        lambda: _sentences(corpus, "train"),
        vocab_size=config.vocab_size,
        casing=casing,
        limit_alphabet=config.limit_alphabet,
        character_coverage=config.character_coverage,
        min_frequency=config.min_frequency,
    )
    wordpiece.save(tokens, out, casing=casing, model_max_length=config.model_max_length)

    split = "heldout" if corpus.shards("heldout") else "train"
    probe = _sample(corpus, split)
    proof = wordpiece_quality.prove_readers_agree(out, probe(), casing=casing, model_max_length=config.model_max_length)
    figures = wordpiece_quality.measure(out, probe())
    unused = wordpiece_quality.unused_entries(out, _sample(corpus, "train")())
    quality = {
        "vocab_size": len(tokens),
        "vocab_size_asked": config.vocab_size,
        "alphabet": len(alphabet.characters),
        "alphabet_inside_words": len(alphabet.continuing),
        "alphabet_cut": alphabet.cut,
        "alphabet_cut_share": round(alphabet.cut_share, 8),
        **figures,
        "measured_on": {"split": split, **figures["measured_on"]},
        "unused_entries": unused["unused"],
        "unused_measured_on": {"split": "train", "characters": unused["characters"]},
        "probe": proof,
    }
    storage.write_json(out / "quality.json", quality)
    return Tokenizer(out)


def _sentences(corpus: Corpus, split: str) -> Iterator[str]:
    for _, sentences in corpus.documents(split):
        yield from sentences


def _sample(corpus: Corpus, split: str) -> Callable[[], Iterator[str]]:
    """Sentences of every n-th document, about `_SAMPLE_CHARACTERS` in all, the same ones each time."""
    step = max(round(corpus.read_json("stats.json")["characters"][split] / _SAMPLE_CHARACTERS), 1)

    def sentences() -> Iterator[str]:
        for index, (_, document) in enumerate(corpus.documents(split)):
            if index % step == 0:
                yield from document

    return sentences
