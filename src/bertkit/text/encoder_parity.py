"""Does `nanotoken` give the ids that `tokenizers` gives, for the tokenizer at hand: proof before it is used."""

import random
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from bertkit.text.vocabulary import SPECIAL_TOKENS

_BATCH = 2000
_RANDOM_TEXTS = 2000
# Every character up to here is tried: the Basic Multilingual Plane.
_ALL_BELOW = 0x10000
# One in so many of those beyond.
_STRIDE = 61
_ACCENTS = "\u0300\u0301\u0308\u0327\u0345\u05b0\u064b\u0e31\u3099"
_CONTROLS = "\x00\x01\t\n\r\x0b\x1c\x85\xa0\xad\u200b\u200d\u2028\u2029\u202e\u3000\ufeff\ufffd\U000e0001"
_RANGES = (
    (0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1E00, 0x1FFF),
    (0x2000, 0x206F), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFF00, 0xFFEF),
    (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF),
)  # fmt: skip


def first_difference(reference: Tokenizer, candidate: Any, corpus: Iterable[str]) -> str | None:
    """The first text that the two encode differently, of a fixed probe and of `corpus`; None when there is none.

    The probe holds every entry of the vocabulary, every character of the Basic Multilingual Plane and many beyond
    at the start, inside and at the end of a word, and random strings of scripts, accents, control characters, special
    tokens written out, words too long to be cut and nothing at all.
    """
    texts = chain(probe(sorted(reference.get_vocab())), corpus)
    while batch := list(islice(texts, _BATCH)):
        expected = [encoding.ids for encoding in reference.encode_batch_fast(batch, add_special_tokens=False)]
        found = candidate.encode_batch(batch, add_special_tokens=False)
        for text, ours, theirs in zip(batch, expected, found, strict=True):
            if not np.array_equal(ours, theirs):
                return text
    return None


def probe(entries: list[str]) -> Iterator[str]:
    """Texts on which readers of one WordPiece vocabulary could differ; the same ones every time."""
    yield from ("", " ", "\n", *SPECIAL_TOKENS, "a[MASK]b [unused1] [unused99] ##s ## # [ ]", "a" * 100, "a" * 101)
    for start in range(0, len(entries), 50):
        some = entries[start : start + 50]
        yield " ".join(some)
        yield "".join(piece.removeprefix("##") for piece in some[:8])
    characters = [
        chr(i) for i in (*range(_ALL_BELOW), *range(_ALL_BELOW, 0x110000, _STRIDE)) if not 0xD800 <= i < 0xE000
    ]
    for start in range(0, len(characters), 25):
        some_characters = characters[start : start + 25]
        yield " ".join(some_characters)
        yield " ".join(f"{character}ab{character}cd{character}" for character in some_characters)
    yield from _random_texts(entries)


def _random_texts(entries: list[str]) -> Iterator[str]:
    draw = random.Random(0)

    def unit() -> str:
        kind = draw.random()
        if kind < 0.25:
            return draw.choice(entries).removeprefix("##")
        if kind < 0.35:
            return draw.choice(_ACCENTS) * draw.randint(1, 3)
        if kind < 0.45:
            return draw.choice(_CONTROLS)
        if kind < 0.5:
            return draw.choice((*SPECIAL_TOKENS, "[unused1]", "##", "x" * draw.randint(95, 210), "é" * 60))
        if kind < 0.65:
            return draw.choice(" .,'-/")
        low, high = draw.choice(_RANGES)
        return "".join(chr(draw.randint(low, high)) for _ in range(draw.randint(1, 6)))

    for _ in range(_RANDOM_TEXTS):
        yield "".join(unit() for _ in range(draw.randint(0, 16)))
