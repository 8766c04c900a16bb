"""The store gives back every sentence, whatever the batches it was written in."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.token_store import TokenStore, token_dtype
from bertkit.errors import IntegrityError

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
