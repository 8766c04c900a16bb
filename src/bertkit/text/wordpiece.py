"""WordPiece tokenizers: trained to the same bytes every time, saved as Hugging Face and Google's tools read them."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from bertkit import storage
from bertkit.errors import ConfigError, DataError, StageError
from bertkit.text.vocabulary import SPECIAL_TOKENS, file_states
from bertkit.text.word_level import segmented_by_words, segments_words

PREFIX = "##"
UNKNOWN = "[UNK]"


@dataclass(frozen=True, slots=True)
class Casing:
    """How text is prepared before it is cut into pieces, in `BertTokenizer`'s terms."""

    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True

    def normalizer(self) -> normalizers.BertNormalizer:
        return normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=self.tokenize_chinese_chars,
            strip_accents=self.strip_accents,
            lowercase=self.do_lower_case,
        )


@dataclass(frozen=True, slots=True)
class Alphabet:
    """The characters a vocabulary can spell words with.

    `continuing` are those that can stand inside a word and so need a `##` entry; Chinese characters, when they are
    words of their own, and punctuation cannot. `cut` counts the kinds of character left out, `cut_share` their share
    of the text.
    """

    characters: tuple[str, ...]
    continuing: tuple[str, ...]
    cut: int
    cut_share: float

    @property
    def smallest_vocabulary(self) -> int:
        """How many entries it takes to spell every word."""
        return len(SPECIAL_TOKENS) + len(self.characters) + len(self.continuing)


def count_alphabet(texts: Iterable[str], *, casing: Casing, limit: int, coverage: float) -> Alphabet:
    """The most frequent characters of `texts` as the tokenizer sees them.

    Args:
        limit: no more characters than this.
        coverage: no more characters than are needed for this share of the text (SentencePiece's
            `character_coverage`), ASCII ones aside: in a large text thousands of characters occur once or twice, and
            each would take up to two entries of the vocabulary.

    Raises:
        DataError: there is no text.
    """
    raw: Counter[str] = Counter()
    for text in texts:
        raw.update(text)
    counts, inside = _normalized_counts(raw, casing)
    total = counts.total()
    if not total:
        raise DataError("there is no text to train a tokenizer on", remedy="Check the corpus and its stats.json.")
    kept: list[str] = []
    covered = 0
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if len(kept) == limit:
            break
        if covered < coverage * total or character.isascii():
            kept.append(character)
            covered += count
    return Alphabet(
        characters=tuple(sorted(kept)),
        continuing=tuple(sorted(inside.intersection(kept))),
        cut=len(counts) - len(kept),
        cut_share=1 - covered / total,
    )


def _normalized_counts(raw: Counter[str], casing: Casing) -> tuple[Counter[str], set[str]]:
    """Counts after normalization, which works character by character, and the characters that can stand in a word."""
    normalizer, splitter = casing.normalizer(), pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    inside: set[str] = set()
    for character, count in raw.items():
        normalized = normalizer.normalize_str(character)
        for part in normalized:
            if part.isspace():
                continue
            counts[part] += count
            # Chinese characters come back with spaces around them.
            if normalized == normalized.strip() and len(splitter.pre_tokenize_str("a" + part)) == 1:
                inside.add(part)
    return counts, inside


def train(
    texts: Callable[[], Iterable[str]],
    *,
    vocab_size: int,
    casing: Casing,
    limit_alphabet: int = 6000,
    character_coverage: float = 0.9999,
    min_frequency: int = 2,
) -> tuple[list[str], Alphabet]:
    """Learn a vocabulary: its tokens by id, and the alphabet it spells with.

    The same texts give the same vocabulary. The library's trainer alone does not: it numbers `##` characters in the
    order of a hash map, and ties between pieces fall by number (huggingface/tokenizers#1794). Here it is handed them
    in order, as if they were special tokens.

    The trainer merges the most frequent pair of pieces, as BPE does; Google's unpublished one chose by likelihood.

    Args:
        texts: called twice, to count characters and to learn.
        vocab_size: asked for; a small text gives fewer.
        min_frequency: a pair of pieces seen less often is not merged.

    Raises:
        DataError: there is no text.
        ConfigError: the alphabet alone is larger than `vocab_size`.
    """
    alphabet = count_alphabet(texts(), casing=casing, limit=limit_alphabet, coverage=character_coverage)
    _check_size(vocab_size, alphabet)
    leading = [*SPECIAL_TOKENS, *(PREFIX + character for character in alphabet.continuing)]
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = casing.normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=leading,
        initial_alphabet=list(alphabet.characters),
        limit_alphabet=len(alphabet.characters),
        continuing_subword_prefix=PREFIX,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer=trainer)
    return _in_order(tokenizer.get_vocab(), alphabet), alphabet


def _check_size(vocab_size: int, alphabet: Alphabet) -> None:
    needed = alphabet.smallest_vocabulary
    if vocab_size >= needed:
        return
    raise ConfigError(
        f"vocab_size {vocab_size:,} is too small: {len(SPECIAL_TOKENS)} special tokens, {len(alphabet.characters):,} "
        f"characters and {len(alphabet.continuing):,} of them inside words make {needed:,}",
        remedy=f"Set vocab_size to {needed:,} or, for whole words to be learnt, far more; or cut rare characters with "
        f"limit_alphabet={max((vocab_size - len(SPECIAL_TOKENS)) // 4, 1):,} or a lower character_coverage.",
    )


def _in_order(trained: dict[str, int], alphabet: Alphabet) -> list[str]:
    """Special tokens, characters, `##` characters, then what was learnt, the most frequent first."""
    head = [*SPECIAL_TOKENS, *alphabet.characters, *(PREFIX + character for character in alphabet.continuing)]
    known = set(head)
    return head + [token for token in sorted(trained, key=trained.__getitem__) if token not in known]


def save(tokens: list[str], path: Path, *, casing: Casing, model_max_length: int) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `vocab.txt` into the directory `path`."""
    hugging_face(tokens, casing=casing, model_max_length=model_max_length).save_pretrained(path)
    storage.write_text(path / "vocab.txt", "".join(f"{token}\n" for token in tokens))


def hugging_face(vocabulary: list[str] | Path, *, casing: Casing, model_max_length: int) -> Any:
    """A `transformers.BertTokenizer` over tokens or over a `vocab.txt`."""
    from transformers import BertTokenizer

    vocab = str(vocabulary) if isinstance(vocabulary, Path) else {token: id for id, token in enumerate(vocabulary)}
    return BertTokenizer(
        vocab=vocab,
        do_lower_case=casing.do_lower_case,
        strip_accents=casing.strip_accents,
        tokenize_chinese_chars=casing.tokenize_chinese_chars,
        model_max_length=model_max_length,
    )


def load_encoder(path: Path) -> Tokenizer:
    """The tokenizer in the directory `path`, of word pieces or of words, for encoding text from data.

    It adds no special tokens, cuts and pads nothing, and reads `[MASK]` in a text as the characters that stand there.
    Hugging Face's own tokenizers turn such a text into the special token, which would let data forge the structure
    of an input.

    Raises:
        StageError: there is neither `tokenizer.json` nor `vocab.txt` with `tokenizer_config.json`.
    """
    encoder = _read(path)
    encoder.encode_special_tokens = True
    encoder.post_processor = None
    encoder.no_truncation()
    encoder.no_padding()
    if segments_words(path):
        encoder.pre_tokenizer = segmented_by_words()
    return encoder


def _read(path: Path) -> Tokenizer:
    if (path / "tokenizer.json").is_file():
        return Tokenizer.from_file(str(path / "tokenizer.json"))
    if (path / "vocab.txt").is_file() and (path / "tokenizer_config.json").is_file():
        backend: Tokenizer = _from_vocabulary(path).backend_tokenizer
        return backend
    raise StageError(
        "has no tokenizer.json", where=str(path), remedy="Give a directory that AutoTokenizer can load, saved anew."
    )


def _from_vocabulary(path: Path) -> Any:
    """A `transformers.BertTokenizer` from a folder of `vocab.txt` and `tokenizer_config.json`."""
    config = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    casing = Casing(**{field.name: config[field.name] for field in fields(Casing) if field.name in config})
    return hugging_face(path / "vocab.txt", casing=casing, model_max_length=config.get("model_max_length", 512))


def copy_tokenizer(path: Path, out: Path) -> None:
    """Put the files of the tokenizer in `path` into `out`; `tokenizer.json` is written where there is none."""
    storage.copy_files(path, out, ("tokenizer.json", "tokenizer_config.json", "vocab.txt"))
    if not (path / "tokenizer.json").is_file():
        _from_vocabulary(path).save_pretrained(out)


def load_encode(path: Path) -> Callable[[list[str]], list[list[int]]]:
    """A function from texts to their ids, with the encoder of `load_encoder`; read once while its files stay the same."""
    return _load_encode(path, file_states(path))


@lru_cache(maxsize=4)
def _load_encode(path: Path, states: tuple[Any, ...]) -> Callable[[list[str]], list[list[int]]]:
    encoder = load_encoder(path)
    return lambda texts: [encoding.ids for encoding in encoder.encode_batch_fast(texts, add_special_tokens=False)]
