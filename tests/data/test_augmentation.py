"""Augmented texts are drawn by (seed, epoch, row), keep what is no word, and reach the model as if they were written so."""

import pickle
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.augmentation import Augmentation, AugmentedRows, read_synonyms, split_words
from bertkit.data.batching import START, Position
from bertkit.data.encoding import EncodedTexts, encode_texts
from bertkit.data.pretraining import SpecialIds
from bertkit.errors import ConfigError, DataError

TEXT = "The film, it's said, was a well-known “flop” :-) 2 times."
CHINESE = "这部电影很好看，我喜欢iPhone！"


def words(text: str) -> list[str]:
    return [piece for piece, is_word in split_words(text) if is_word]


def test_words_keep_their_inner_signs_and_chinese_ones_are_characters() -> None:
    assert words(TEXT) == ["The", "film", "it's", "said", "was", "a", "well-known", "flop", "2", "times"]
    assert words(CHINESE) == [*"这部电影很好看", *"我喜欢", "iPhone"]
    assert words("'twas rock 'n' roll -") == ["twas", "rock", "n", "roll"]
    assert words("e\u0301te\u0301 हिन्दी") == ["e\u0301te\u0301", "हिन्दी"]
    assert words("😀 … \u200b") == []


def test_chinese_words_are_the_segmenters() -> None:
    pytest.importorskip("rjieba")
    found = [piece for piece, is_word in split_words(CHINESE, "word") if is_word]
    assert "".join(found) == "这部电影很好看我喜欢iPhone"
    assert "电影" in found


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_parts_are_the_text(text: str) -> None:
    assert "".join(piece for piece, _ in split_words(text)) == text


@settings(max_examples=60)
@given(st.text(max_size=40), st.integers(0, 1000))
def test_swapping_moves_words_and_nothing_else(text: str, seed: int) -> None:
    changed = Augmentation(seed, swap=0.2).changed(text, "x")
    assert Counter(changed) == Counter(text)
    shape = [piece for piece, is_word in split_words(text) if not is_word]
    if len(words(text)) > 1 and len(set(words(text))) == len(words(text)) and " " in shape and len(shape) == 1:
        assert changed != text


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["red", "green", "blue", "我", "x2"]), min_size=1, max_size=12), st.integers(0, 1000))
def test_deletion_leaves_a_subsequence_and_at_least_a_word(given_words: list[str], seed: int) -> None:
    text = " ".join(given_words)
    for p in (0.3, 1.0):
        left = Augmentation(seed, delete=p).changed(text, "x")
        rest = iter(given_words)
        assert words(left)
        assert all(word in rest for word in words(left))
        assert "  " not in left
        assert p < 1 or len(words(left)) == 1


def test_deletion_leaves_out_the_share_asked_for() -> None:
    text = " ".join(f"w{i}" for i in range(100))
    left = [len(words(Augmentation(0, delete=0.2).changed(text, str(i)))) for i in range(100)]
    assert np.mean(left) == pytest.approx(80, abs=2)


def test_replacing_takes_synonyms_whatever_the_case(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.tsv"
    path.write_text("film\tmovie\tpicture\n\n电\t影像\nFLOP\tfailure\n", encoding="utf-8")
    synonyms = read_synonyms(path)
    assert synonyms == {"film": ["movie", "picture"], "电": ["影像"], "flop": ["failure"]}
    found = {Augmentation(0, synonyms=synonyms, replace=1.0).changed("Film: flop film!", str(i)) for i in range(40)}
    assert found == {f"{a}: failure {b}!" for a in ("movie", "picture") for b in ("movie", "picture")}
    assert Augmentation(0, synonyms=synonyms).changed("No such word.", "x") == "No such word."
    one = Augmentation(0, synonyms=synonyms, replace=0.1).changed("film film film", "x")
    assert len([word for word in words(one) if word == "film"]) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [("film\tmovie\nflop\n", r"synonyms.tsv:2: is 'flop'"), ("film\t\n", r":1: is"), ("\n", "has no synonyms")],
)
def test_a_line_without_a_synonym_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "synonyms.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_synonyms(path)


ROWS = [{"id": str(i), "text": f"one two three four {i}", "label": "a"} for i in range(300)]


def test_draws_depend_on_seed_epoch_and_row_alone() -> None:
    augment = Augmentation(1, probability=0.5, swap=0.2, delete=0.3)
    whole = augment(ROWS, ["text"], 2)
    assert augment(ROWS, ["text"], 2) == whole
    assert augment(ROWS[:50], ["text"], 2) == whole[:50]
    assert augment(ROWS, ["text"], 3) != whole
    assert Augmentation(2, probability=0.5, swap=0.2, delete=0.3)(ROWS, ["text"], 2) != whole
    changed = [a["text"] != b["text"] for a, b in zip(whole, ROWS, strict=True)]
    # A deletion may leave out no word: half the texts, and of these about half lose one with 0.7 ** 5 = 0.17 against it.
    assert 0.35 < np.mean(changed) < 0.55
    assert all(row["label"] == "a" and row["id"] == str(i) for i, row in enumerate(whole))
    assert ROWS[0]["text"] == "one two three four 0"


def test_an_operation_that_is_off_is_not_drawn() -> None:
    swapped = Augmentation(0, probability=1.0, swap=0.1)(ROWS, ["text"], 0)
    assert all(sorted(a["text"].split()) == sorted(b["text"].split()) for a, b in zip(swapped, ROWS, strict=True))
    assert all(a["text"] != b["text"] for a, b in zip(swapped, ROWS, strict=True))


def encode(rows: list[dict[str, Any]]) -> EncodedTexts:
    def ids(texts: list[str]) -> list[list[int]]:
        return [[sum(map(ord, word)) for word in text.split()] for text in texts]

    return encode_texts([row["text"] for row in rows], [0] * len(rows), ids, SpecialIds(2, 3, 0), max_seq_length=20)


def augmented() -> AugmentedRows:
    augmentation = Augmentation(1, probability=1.0, delete=0.3)
    return AugmentedRows(ROWS[:21], ("text",), encode, augmentation, encode(ROWS[:21]))


def contents(batches: Any) -> list[Any]:
    return [
        (b.position, b.epoch, b.tokens, b.rows.tolist(), [(n, a["input_ids"].tolist()) for n, a in b.micro_batches])
        for b in batches
    ]


LAYOUT = {"seed": 3, "rank": 0, "world_size": 1}


def test_each_epoch_reads_every_text_once_as_it_is_then() -> None:
    batches = list(islice(augmented().batches(4, 4, **LAYOUT), 12))
    assert [b.position for b in batches] == [Position(i // 6, i % 6, i + 1) for i in range(12)]
    for epoch in (0, 1):
        expected = augmented().of_epoch(epoch)
        assert isinstance(expected, EncodedTexts)
        for batch in batches[6 * epoch : 6 * epoch + 6]:
            ((_, arrays),) = batch.micro_batches
            for place, row in enumerate(batch.rows.tolist()):
                ids = arrays["input_ids"][place]
                assert ids[ids > 0].tolist() == expected.rows[row].tolist()
        read = [row for batch in batches[6 * epoch : 6 * epoch + 6] for row in batch.rows.tolist()]
        assert sorted(read) == list(range(21))
    assert contents(batches[:6])[0][4] != contents(batches[6:])[0][4]


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 7])
def test_workers_together_make_the_same_batches(turns: int) -> None:
    whole = contents(islice(augmented().batches(4, 2, **LAYOUT), 20))
    workers = [augmented().batches(4, 2, **LAYOUT, turn=turn, turns=turns) for turn in range(turns)]
    assert contents(next(workers[i % turns]) for i in range(20)) == whole


@pytest.mark.parametrize("cut", [1, 5, 6, 7, 12])
def test_a_run_goes_on_anywhere(cut: int) -> None:
    whole = list(islice(augmented().batches(4, 4, **LAYOUT), 15))
    start = whole[cut - 1].position.following
    rest = islice(augmented().batches(4, 4, **LAYOUT, start=start), 15 - cut)
    assert [c[2:] for c in contents(rest)] == [c[2:] for c in contents(whole[cut:])]
    turns = [augmented().batches(4, 4, **LAYOUT, start=start, turn=turn, turns=2) for turn in (0, 1)]
    assert [c[2:] for c in contents(next(turns[i % 2]) for i in range(15 - cut))] == [
        c[2:] for c in contents(whole[cut:])
    ]


def test_processes_divide_the_same_batches() -> None:
    ranks = [augmented().batches(4, 2, seed=3, rank=rank, world_size=2) for rank in (0, 1)]
    for whole in islice(augmented().batches(4, 2, **LAYOUT), 8):
        parts = [next(rank) for rank in ranks]
        heard = [part.micro_batches[: len(part.micro_batches) - part.silent] for part in parts]
        together = sorted((m for part in heard for m in part), key=lambda m: m[0])
        assert [(n, a["input_ids"].tolist()) for n, a in together] == [
            (n, a["input_ids"].tolist()) for n, a in whole.micro_batches
        ]


def test_workers_can_be_handed_the_rows() -> None:
    again = pickle.loads(pickle.dumps(partial(augmented().batches, 4, 4, **LAYOUT, start=START)))
    assert contents(islice(again(), 3)) == contents(islice(augmented().batches(4, 4, **LAYOUT), 3))


def test_rows_that_are_read_in_windows_are_refused() -> None:
    with pytest.raises(ConfigError, match="several windows"):
        AugmentedRows(ROWS[:3], ("text",), encode, Augmentation(1, swap=0.1), encode(ROWS[:4]))
