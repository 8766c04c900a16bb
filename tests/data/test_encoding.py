"""Pairs of texts as BERT reads them: transformers' tokenizer is the reference."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from bertkit.data.encoding import EncodedTexts, encode_rows
from bertkit.errors import DataError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "one", "two", "three", "##s", "four"]
texts = st.lists(st.sampled_from(["one", "two", "threes", "four"]), min_size=1, max_size=12).map(" ".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(path)
    return path


@settings(deadline=None, max_examples=60)
@given(pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=5), length=st.integers(5, 24))
def test_pairs_are_cut_and_typed_as_transformers_does(folder: Path, pairs: list[tuple[str, str]], length: int) -> None:
    reference = BertTokenizer.from_pretrained(folder)
    rows = [{"text": a, "text_pair": b} for a, b in pairs]
    encoded = encode_rows(folder, rows, [0] * len(rows), max_seq_length=length)
    arrays = encoded.collate(np.arange(len(rows)))
    for i, (a, b) in enumerate(pairs):
        expected = reference(a, b, truncation="longest_first", max_length=length)
        n = len(expected["input_ids"])
        assert arrays["input_ids"][i, :n].tolist() == expected["input_ids"]
        assert arrays["token_type_ids"][i, :n].tolist() == expected["token_type_ids"]
        assert not arrays["token_type_ids"][i, n:].any()
    whole = [len(reference(a, b)["input_ids"]) for a, b in pairs]
    assert encoded.truncated == sum(n > length for n in whole)


@settings(deadline=None, max_examples=60)
@given(count=st.integers(1, 23), batch=st.integers(1, 8), rows=st.integers(1, 4), world=st.integers(1, 5))
def test_every_process_has_as_many_micro_batches_and_every_row_counts_once(
    folder: Path, count: int, batch: int, rows: int, world: int
) -> None:
    encoded = encode_rows(folder, [{"text": "one two"}] * count, [0] * count, max_seq_length=8)
    steps = -(-count // batch)
    ranks = [
        list(islice(encoded.batches(batch, rows, seed=1, rank=rank, world_size=world), steps)) for rank in range(world)
    ]
    for of_step in zip(*ranks, strict=True):
        assert len({len(one.micro_batches) for one in of_step}) == 1
        assert len(of_step[0].micro_batches) >= 1
        heard = [len(one.micro_batches) - one.silent for one in of_step]
        parts = [arrays for one, n in zip(of_step, heard, strict=True) for _, arrays in one.micro_batches[:n]]
        assert sum(len(arrays["input_ids"]) for arrays in parts) == of_step[0].sequences
        assert sum(one.denominators["loss"] for one in of_step) == of_step[0].sequences
        assert sum(one.padded_tokens for one in of_step) == sum(arrays["input_ids"].size for arrays in parts)
    assert sum(step.sequences for step in ranks[0]) == count


def test_fewer_rows_than_processes_cannot_be_measured_on(folder: Path) -> None:
    encoded = encode_rows(folder, [{"text": "one"}] * 3, [0] * 3, max_seq_length=8)
    assert [len(list(encoded.share(8, rank=rank, world_size=3))) for rank in range(3)] == [1, 1, 1]
    for rank in range(4):
        with pytest.raises(DataError, match="3 rows to measure on cannot be shared by 4 processes"):
            list(encoded.share(8, rank=rank, world_size=4))


def test_single_texts_have_one_segment(folder: Path) -> None:
    encoded = encode_rows(folder, [{"text": "one two"}, {"text": "threes"}], [1, 0], max_seq_length=8)
    assert isinstance(encoded, EncodedTexts)
    assert encoded.second is None
    assert not encoded.collate(np.array([0, 1]))["token_type_ids"].any()


def test_texts_of_which_nothing_is_left_are_counted(folder: Path) -> None:
    texts = ["one", "\u200b", "\u00ad\ufeff", "x", "[SEP]"]
    single = encode_rows(folder, [{"text": text} for text in texts], [0] * 5, max_seq_length=8)
    assert single.without_pieces == 2
    rows = [
        {"text": a, "text_pair": b} for a, b in (("one", "two"), ("\u200b", "two"), ("one", "\u200b"), ("\u200b",) * 2)
    ]
    assert encode_rows(folder, rows, [0] * 4, max_seq_length=8).without_pieces == 3
