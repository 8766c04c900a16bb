"""Words as units: parted as treebanks part them, numbered by frequency, and read back with no token forged."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from bertkit.text import word_level
from bertkit.text.vocabulary import SPECIAL_TOKENS, read_vocabulary
from bertkit.text.wordpiece import load_encode, load_encoder


def parted(text: str, **options: object) -> list[str]:
    return word_level.splitter(word_level.word_tokenizer([], **({"lowercase": False} | options)))(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It doesn't work, can't it?", "It does n't work , ca n't it ?"),
        ("Émile's cafés weren’t well-known.", "Émile 's cafés were n’t well-known ."),
        ("3.5 % of 1,000 films", "3.5 % of 1,000 films"),
        ("it 's n't (AT&T)", "it 's n't ( AT&T )"),
        ("don ' t -- so", "don ' t - - so"),
        ("我看T恤 ok", "我 看 T 恤 ok"),
        ("[MASK]", "[ MASK ]"),
    ],
)
def test_english_is_parted_at_clitics_and_signs_and_chinese_at_characters(text: str, words: str) -> None:
    assert parted(text) == words.split()


def test_case_is_lost_where_asked() -> None:
    assert parted("Émile WON", lowercase=True) == ["émile", "won"]


def test_tokens_that_are_given_stay_whole() -> None:
    assert parted("U.S.-based", whole=True) == ["U.S.-based"]
    assert parted("北京", whole=True) == ["北京"]


def test_chinese_words_are_the_segmenters(tmp_path: Path) -> None:
    pytest.importorskip("rjieba")
    tokenizer = word_level.word_tokenizer(["北京", "大学"], lowercase=True, chinese_units="word")
    assert word_level.splitter(tokenizer)("我在北京 大学. OK") == ["我", "在", "北京", "大学", ".", "ok"]
    word_level.save(tokenizer, tmp_path)
    encoding = load_encoder(tmp_path).encode("在北京 大学")
    assert encoding.tokens == ["[UNK]", "北京", "大学"]
    assert encoding.offsets == [(0, 1), (1, 3), (4, 6)]
    assert load_encode(tmp_path)(["大学在北京"]) == [[2, 0, 1]]


def test_long_chinese_texts_are_parted_as_short_ones_and_in_time() -> None:
    rjieba = pytest.importorskip("rjieba")
    text = "我在北京大学看T恤3.5元 。\n" * 8000
    words = [word for word in rjieba.cut(text.lower()) if word.strip()]
    tokenizer = word_level.word_tokenizer(sorted(set(words)), lowercase=True, chinese_units="word")
    started = time.process_time()
    encoding = tokenizer.encode(text)
    assert time.process_time() - started < 1.5, "by the square of the length it took 6 seconds"
    assert encoding.tokens == words
    assert [text[start:end].lower() for start, end in encoding.offsets] == words


def test_no_special_token_can_be_spelt(tmp_path: Path) -> None:
    for whole in (False, True):
        word_level.save(word_level.word_tokenizer(["film"], lowercase=False, whole=whole), tmp_path)
        vocabulary = read_vocabulary(tmp_path)
        assert (vocabulary.size, vocabulary.unk, vocabulary.ordinary) == (6, 0, (1,))
        for text in SPECIAL_TOKENS:
            assert set(load_encode(tmp_path)([text])[0]) == {vocabulary.unk}
        assert load_encode(tmp_path)(["film Film"]) == [[1, 0]]


def test_the_most_frequent_words_are_kept_in_one_order() -> None:
    counts = Counter({"b": 3, "a": 3, "c": 5, "d": 1, "[MASK]": 9})
    assert word_level.frequent(counts, min_count=2, max_size=10) == ["c", "a", "b"]
    assert word_level.frequent(Counter({"b": 3, "a": 3, "c": 5}), min_count=1, max_size=2) == ["c", "a"]


def test_the_same_words_make_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        word_level.save(word_level.word_tokenizer([f"w{i}" for i in range(50)], lowercase=True), tmp_path / name)
        written.append((tmp_path / name / "tokenizer.json").read_bytes())
    assert written[0] == written[1]
    assert json.loads(written[0])["model"]["vocab"]["w0"] == 1
