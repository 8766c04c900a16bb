"""Rows say how their tokens are spelt, piece by piece."""

from pathlib import Path

import numpy as np

from bertkit.data.tagging.encoding import encode_sentences
from bertkit.text import wordpiece

TOKENS = [*wordpiece.SPECIAL_TOKENS, "ada", "rom", "##e", "in"]


def spelt(word: str) -> list[int]:
    return [byte + 1 for byte in word.encode()]


def test_every_piece_has_the_spelling_of_its_token(tmp_path: Path) -> None:
    wordpiece.save(TOKENS, tmp_path, casing=wordpiece.Casing(), model_max_length=32)
    sentences = [["Ada", "in", "Rome"], ["Romé"], ["in", "Ada", "Rome", "in", "Rome", "Ada"]]
    encoded = encode_sentences(tmp_path, sentences, None, max_seq_length=7, stride=2, max_word_bytes=4)
    assert encoded.spellings.cut == 1  # Romé is five bytes
    for chosen in (np.array([0, 1]), np.arange(len(encoded))):
        arrays = encoded.collate(chosen)
        assert arrays["spelling"].shape == arrays["input_ids"].shape
        table = arrays["spellings"]
        assert not table[0].any()
        for place, number in enumerate(chosen):
            window = encoded.windows[number]
            tokens = sentences[window.sentence][window.start : window.end]
            expected = [w for token in tokens for w in ([token] * 2 if token.startswith("Rom") else [token])]
            found = [[int(b) for b in table[i] if b] for i in arrays["spelling"][place]]
            assert found[0] == []
            assert found[1 : 1 + len(expected)] == [spelt(word)[:4] for word in expected]
            assert not any(found[1 + len(expected) :])


def test_rows_say_nothing_of_spelling_unless_asked(tmp_path: Path) -> None:
    wordpiece.save(TOKENS, tmp_path, casing=wordpiece.Casing(), model_max_length=32)
    encoded = encode_sentences(tmp_path, [["Ada"]], None, max_seq_length=7, stride=2)
    assert "spelling" not in encoded.collate(np.array([0]))
