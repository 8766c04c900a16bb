"""Long texts in windows: every token is read, and none without being counted is lost."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from bertkit.data.text_windows import encode_documents
from bertkit.errors import ConfigError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(40))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(path)
    return path


def text(length: int) -> str:
    return " ".join(f"w{i}" for i in range(length))


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(5, 20), st.integers(0, 4), st.integers(1, 30))
def test_windows_are_those_of_transformers(folder, sizes, length, overlap, most):
    if overlap >= length - 2:
        return
    reference = BertTokenizer.from_pretrained(folder)
    labels = np.zeros(len(sizes), np.int64)
    encoded = encode_documents(
        folder, [text(n) for n in sizes], labels, max_seq_length=length, overlap=overlap, max_windows=most
    )
    for n, windows in zip(sizes, encoded.documents, strict=True):
        options = {"truncation": True, "max_length": length, "stride": overlap, "return_overflowing_tokens": True}
        expected = reference([text(n)], **options)["input_ids"]
        assert [window.tolist() for window in windows] == expected[:most]
    assert encoded.truncated == sum(n > (length - 2) + (most - 1) * (length - 2 - overlap) for n in sizes)
    assert encoded.window_count == sum(map(len, encoded.documents))


def test_a_batch_keeps_the_windows_of_a_text_together(folder):
    labels = np.array([0.5, 1.5, 2.5], np.float32)
    encoded = encode_documents(folder, [text(3), text(11), text(6)], labels, max_seq_length=6, overlap=1, max_windows=8)
    assert encoded.lengths.tolist() == [5, 6 + 6 + 6 + 4, 6 + 5]
    arrays = encoded.collate(np.array([1, 0]))
    assert arrays["text_windows"].tolist() == [[True] * 4 + [False], [False] * 4 + [True]]
    assert arrays["labels"].tolist() == [1.5, 0.5]
    assert arrays["input_ids"].shape == arrays["attention_mask"].shape == (5, 8)
    assert encoded.denominators(arrays) == {"loss": 2}


def test_windows_that_do_not_move_on_are_refused(folder):
    with pytest.raises(ConfigError, match="window_overlap 4 leaves nothing new in a window of 4"):
        encode_documents(folder, ["w1"], np.zeros(1), max_seq_length=6, overlap=4, max_windows=2)


def test_texts_of_which_nothing_is_left_are_counted(folder):
    texts = ["w1", "\u200b", text(30), "\ufeff"]
    encoded = encode_documents(folder, texts, np.zeros(4), max_seq_length=6, overlap=1, max_windows=2)
    assert (encoded.without_pieces, encoded.window_count) == (2, 5)
