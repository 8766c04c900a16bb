"""Is a saved tokenizer the same for every reader, and how good is it: proof and figures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bertkit.errors import IntegrityError
from bertkit.text.vocabulary import SPECIAL_TOKENS
from bertkit.text.wordpiece import UNKNOWN, Casing, hugging_face, load_encoder

READERS = ("AutoTokenizer", "BertTokenizer", "vocab.txt")

_BATCH = 1000


def prove_readers_agree(path: Path, texts: Iterable[str], *, casing: Casing, model_max_length: int) -> dict[str, Any]:
    """Encode `texts` with what bertkit trains with and as others will read the directory `path`.

    The readers are `AutoTokenizer`, `BertTokenizer`, and a `BertTokenizer` that is given `vocab.txt` and `casing`. A
    text that spells a special token out is left to the encoder alone: the readers take it for the token itself.

    Returns:
        What was compared, for the quality figures.

    Raises:
        IntegrityError: a reader gives other ids; with the reader, the text and the first tokens that differ.
    """
    from transformers import AutoTokenizer, BertTokenizer

    encoder = load_encoder(path)
    readers: dict[str, Any] = {
        "AutoTokenizer": AutoTokenizer.from_pretrained(path),
        "BertTokenizer": BertTokenizer.from_pretrained(path),
        "vocab.txt": hugging_face(path / "vocab.txt", casing=casing, model_max_length=model_max_length),
    }
    compared = skipped = 0
    for batch in _batches(texts):
        plain = [text for text in batch if not any(token in text for token in SPECIAL_TOKENS)]
        skipped += len(batch) - len(plain)
        if not plain:
            continue
        expected = [encoding.ids for encoding in encoder.encode_batch_fast(plain)]
        for name, reader in readers.items():
            # The length is no matter here, and going over it would only warn.
            ids = reader(plain, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
            _compare(name, plain, expected, ids, encoder.id_to_token)
        compared += len(plain)
    return {"texts": compared, "skipped": skipped, "readers": list(READERS), "differences": 0}


def _compare(
    reader: str,
    texts: Sequence[str],
    expected: Sequence[Sequence[int]],
    seen: Sequence[Sequence[int]],
    token: Callable[[int], str | None],
) -> None:
    for text, ours, theirs in zip(texts, expected, seen, strict=True):
        if list(ours) == list(theirs):
            continue
        same = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        ours_shown, theirs_shown = ([token(id) for id in ids[same : same + 5]] for ids in (ours, theirs))
        raise IntegrityError(
            f"{reader} reads this tokenizer differently: {text[:80]!r} at token {same}: "
            f"{theirs_shown} instead of {ours_shown}",
            remedy="Another version of transformers may have read or written the files; manifest.json names versions.",
        )


def measure(path: Path, texts: Iterable[str]) -> dict[str, Any]:
    """Figures of the tokenizer in `path` on `texts`.

    Returns:
        `fertility`: tokens a word, where a word is what white space, punctuation and Chinese characters leave.
        `unknown_rate`: share of tokens that are `[UNK]`. `characters_per_token`: characters of the text, spaces too.
        `measured_on`: how many `texts`, `words`, `tokens` and `characters`.
    """
    encoder = load_encoder(path)
    unknown = encoder.get_vocab()[UNKNOWN]
    count = dict.fromkeys(("texts", "words", "tokens", "characters"), 0)
    unknowns = 0
    for batch in _batches(texts):
        count["texts"] += len(batch)
        count["characters"] += sum(map(len, batch))
        for encoding in encoder.encode_batch(batch):
            ids = encoding.ids
            if ids:
                count["tokens"] += len(ids)
                count["words"] += len(set(encoding.word_ids))
                unknowns += ids.count(unknown)
    tokens = max(count["tokens"], 1)
    return {
        "fertility": round(count["tokens"] / max(count["words"], 1), 4),
        "unknown_rate": round(unknowns / tokens, 6),
        "characters_per_token": round(count["characters"] / tokens, 4),
        "measured_on": count,
    }


def unused_entries(path: Path, texts: Iterable[str]) -> dict[str, int]:
    """How many entries, special tokens aside, `texts` never produce (`unused`), and how much text that was."""
    encoder = load_encoder(path)
    used: set[int] = set()
    characters = 0
    for batch in _batches(texts):
        characters += sum(map(len, batch))
        for encoding in encoder.encode_batch_fast(batch):
            used.update(encoding.ids)
    special = {encoder.token_to_id(token) for token in SPECIAL_TOKENS}
    return {"unused": encoder.get_vocab_size() - len(used | special), "characters": characters}


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    texts = iter(texts)
    while batch := list(islice(texts, _BATCH)):
        yield batch
