"""The store gives back every sentence, whatever the batches it was written in."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.token_store import EncodedDocuments, TokenStore, token_dtype, write_split
from bertkit.errors import IntegrityError, StageError

sentence = st.lists(st.integers(0, 59_999), max_size=6)
documents = st.lists(st.lists(sentence, max_size=5), max_size=8)


@settings(max_examples=60, deadline=None)
@given(documents)
def test_every_sentence_with_a_token_comes_back(make_store: Any, written: list[list[list[int]]]) -> None:
    store = make_store(written)
    kept = [[ids for ids in doc if ids] for doc in written]
    counts = store.counts
    assert counts["empty_sentences"] == sum(not ids for doc in written for ids in doc)
    assert counts["empty_documents"] == sum(not doc for doc in kept)
    starts, ends = store.sentence_offsets[:-1], store.sentence_offsets[1:]
    sentences = [store.tokens[a:b].tolist() for a, b in zip(starts, ends, strict=True)]
    borders = store.document_offsets
    found = [sentences[a:b] for a, b in pairwise(borders)]
    assert found == [doc for doc in kept if doc]


def test_ids_are_stored_in_two_bytes_where_they_fit(make_store: Any) -> None:
    assert token_dtype(65_536) == np.uint16
    assert token_dtype(65_537) == np.uint32
    big = make_store([[[65_537, 3]]], vocab_size=70_000)
    assert big.tokens.tolist() == [65_537, 3]


def test_a_file_that_was_cut_is_noticed_before_it_is_mapped(make_store: Any) -> None:
    store = make_store([[[1, 2, 3], [4, 5]]])
    path = store.path / "train.tokens.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(IntegrityError, match="has 8 bytes, 10 were written"):
        _ = TokenStore(store.path, "train").tokens


@settings(max_examples=60, deadline=None)
@given(documents, st.integers(1, 5))
def test_word_starts_come_back_bit_by_bit_and_no_byte_depends_on_the_batches(
    make_store: Any, written: list[list[list[int]]], together: int
) -> None:
    store = make_store(written, continuing=lambda number: number % 3 == 0, together=together)
    tokens = store.tokens.astype(np.int64)
    index = np.arange(len(tokens)).reshape(1, -1)
    assert np.array_equal(store.word_starts(index), (tokens % 3 != 0).reshape(1, -1))
    whole = make_store(written, continuing=lambda number: number % 3 == 0, together=100)
    for name in ("tokens", "words", "sentences", "documents"):
        assert (store.path / f"train.{name}.bin").read_bytes() == (whole.path / f"train.{name}.bin").read_bytes()


def test_an_id_beyond_the_vocabulary_is_refused_and_nothing_is_left(make_store: Any, tmp_path: Path) -> None:
    ids = np.array([3, 10], dtype=np.uint32)
    one = EncodedDocuments(ids, np.ones(2, dtype=bool), np.array([2]), np.array([1]), 0, 0)
    with pytest.raises(StageError, match="the id 10, its vocabulary ends before 10"):
        write_split(tmp_path, "train", [one], vocab_size=10)
    assert not list(tmp_path.iterdir())
