"""Every token of a sentence is predicted exactly once, whatever its length and pieces."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from bertkit.data.tagging.encoding import IGNORED, cut_windows, encode_sentences

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "one", "two", "##s", "##x", "李", "白", "."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(path)
    return path


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_windows_cover_every_token_once_and_where_it_has_most_around_it(data: st.DataObject) -> None:
    room = data.draw(st.integers(3, 20))
    stride = data.draw(st.integers(0, room // 2))
    sizes = np.array(data.draw(st.lists(st.integers(1, room), min_size=1, max_size=60)), dtype=np.int64)
    windows = cut_windows(sizes, 7, room=room, stride=stride)
    assert [i for one in windows for i in range(one.first, one.last)] == list(range(len(sizes)))
    ends = np.cumsum(sizes)
    begins = ends - sizes
    for one in windows:
        assert one.sentence == 7
        assert one.start <= one.first < one.last <= one.end
        assert sizes[one.start : one.end].sum() <= room
        assert one.closes == (one.last == len(sizes))

    def around(token: int, start: int, end: int) -> int:
        """Pieces at the side where there are fewer; the sentence's own edges hide nothing."""
        left = begins[token] - begins[start] if start else 10**6
        right = ends[end - 1] - ends[token] if end < len(sizes) else 10**6
        return int(min(left, right))

    for one in windows:
        for token in range(one.first, one.last):
            others = [around(token, w.start, w.end) for w in windows if w.start <= token < w.end]
            if len(others) == 2:
                assert around(token, one.start, one.end) == max(others)


def test_small_steps_of_large_tokens_leave_no_empty_window() -> None:
    for sizes in ([1, 8, 5, 10, 1], [4, 4, 9, 9, 1, 1, 1, 10], [5] * 9, [10] * 4):
        windows = cut_windows(np.array(sizes), 0, room=10, stride=5)
        assert all(one.first < one.last for one in windows)
        assert sum(one.last - one.first for one in windows) == len(sizes)


sentences = st.lists(
    st.lists(
        st.sampled_from(["one", "twos", "onesxs", "李", "白", "zzz", "\u200b", "\x00", "."]), min_size=1, max_size=25
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(given_=sentences, length=st.integers(5, 16), stride=st.integers(0, 8))
def test_pieces_stand_where_they_are_said_to(folder: Path, given_: list[list[str]], length: int, stride: int) -> None:
    reference = BertTokenizer.from_pretrained(folder)
    labels = [[100 * s + t for t in range(len(sentence))] for s, sentence in enumerate(given_)]
    encoded = encode_sentences(folder, given_, labels, max_seq_length=length, stride=stride)
    arrays = encoded.collate(np.arange(len(encoded)))
    seen: list[int] = []
    for row, window in enumerate(encoded.windows):
        n = int(encoded.lengths[row])
        ids = arrays["input_ids"][row]
        assert n <= length
        assert (ids[0], ids[n - 1], set(ids[n:].tolist()) <= {0}) == (2, 3, True)
        for place, token in enumerate(range(window.first, window.last)):
            text = given_[window.sentence][token]
            begin, end = arrays["word_begins"][row, place], arrays["word_ends"][row, place]
            pieces = reference(text, add_special_tokens=False)["input_ids"] or [1]
            assert ids[begin:end].tolist() == pieces[: length - 2]
            seen.append(int(arrays["labels"][row, place]))
        assert (arrays["labels"][row, window.last - window.first :] == IGNORED).all()
        sentence = given_[window.sentence]
        assert arrays["edges"][row].tolist() == [window.first == 0, window.last == len(sentence)]
    assert sorted(seen) == sorted(label for row in labels for label in row)
    assert encoded.denominators(arrays) == {"loss": sum(map(len, given_))}
    assert encoded.without_pieces == sum(token in ("\u200b", "\x00") for s in given_ for token in s)


def test_a_token_longer_than_a_window_is_cut_and_counted(folder: Path) -> None:
    encoded = encode_sentences(folder, [["one", "onesxsxsx", "two"]], [[0, 1, 2]], max_seq_length=6, stride=2)
    assert encoded.cut == 1
    assert sorted(np.concatenate(encoded.labels).tolist()) == [0, 1, 2]
    assert encoded.lengths.max() == 6


def test_a_text_that_spells_a_special_token_out_forges_nothing(folder: Path) -> None:
    encoded = encode_sentences(folder, [["one", "[SEP]", "two"]], None, max_seq_length=16, stride=4)
    assert encoded.rows[0].tolist().count(3) == 1
    assert encoded.labels[0].tolist() == [IGNORED] * 3


def test_nothing_to_encode(folder: Path) -> None:
    assert len(encode_sentences(folder, [], None, max_seq_length=16, stride=4)) == 0
    assert len(encode_sentences(folder, [[]], None, max_seq_length=16, stride=4)) == 0


def test_a_hundred_thousand_tokens_in_one_sentence(folder: Path) -> None:
    encoded = encode_sentences(folder, [["one", "twos"] * 50_000], None, max_seq_length=128, stride=32)
    assert sum(one.last - one.first for one in encoded.windows) == 100_000
