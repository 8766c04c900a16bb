"""Pretraining batches say what the store says, and depend only on their position."""

from itertools import islice
from typing import Any

import numpy as np
import pytest

from bertkit.data.masking import Vocabulary
from bertkit.data.pretraining import PretrainingData, SpecialIds

CLS, SEP, PAD, MASK = 2, 3, 0, 4


@pytest.fixture(scope="module")
def data(make_store: Any) -> PretrainingData:
    rng = np.random.default_rng(0)
    documents = [
        [rng.integers(5, 500, size=rng.integers(2, 20)).tolist() for _ in range(rng.integers(1, 30))] for _ in range(60)
    ]
    vocabulary = Vocabulary(MASK, np.arange(5, 500))
    special = SpecialIds(CLS, SEP, PAD)
    return PretrainingData(make_store(documents, vocab_size=500), special, vocabulary, "mlm_nsp", 48, 0.15, 0.1, 7)


def test_a_batch_is_cls_a_sep_b_sep_with_its_originals_as_labels(data: PretrainingData) -> None:
    plan = data.plan(0)
    rows = np.arange(40)
    made = data.collate(plan, rows, 0)
    ids = made["input_ids"].copy()
    ids.reshape(-1)[made["masked_positions"]] = made["masked_labels"]
    for i in rows:
        a, b = data.store.tokens[plan.a_start[i] : plan.a_end[i]], data.store.tokens[plan.b_start[i] : plan.b_end[i]]
        expected = [CLS, *a, SEP, *([*b, SEP] if len(b) else [])]
        n = len(expected)
        assert ids[i, :n].tolist() == expected
        assert (ids[i, n:] == PAD).all()
        types = [0] * (len(a) + 2) + [1] * (n - len(a) - 2)
        assert made["token_type_ids"][i].tolist() == types + [0] * (ids.shape[1] - n)
        assert made["attention_mask"][i].tolist() == [1] * n + [0] * (ids.shape[1] - n)
    assert made["next_sentence_label"].tolist() == plan.label[rows].tolist()


def flat(batches: Any, count: int) -> list[Any]:
    return [
        (batch.position, number, {name: array.tolist() for name, array in arrays.items()})
        for batch in islice(batches, count)
        for number, arrays in batch.micro_batches
    ]


def test_global_batches_do_not_depend_on_the_number_of_processes(data: PretrainingData) -> None:
    alone = flat(data.batches(16, 4, rank=0, world_size=1), 30)
    for world in (2, 4):
        shares = [row for rank in range(world) for row in flat(data.batches(16, 4, rank=rank, world_size=world), 30)]
        assert sorted(shares, key=lambda row: row[:2]) == alone


def test_a_run_can_start_at_any_position(data: PretrainingData) -> None:
    steps = data.steps_per_epoch(16)
    whole = flat(data.batches(16, 8, rank=0, world_size=1), steps + 5)
    at = 2 * (steps - 1)
    assert flat(data.batches(16, 8, rank=0, world_size=1, start=whole[at][0]), 4) == whole[at : at + 8]


def test_denominators_count_what_the_batch_holds(data: PretrainingData) -> None:
    for batch in islice(data.batches(16, 4, rank=0, world_size=1), 20):
        arrays = [arrays for _, arrays in batch.micro_batches]
        assert batch.denominators["mlm_loss"] == sum(len(a["masked_labels"]) for a in arrays)
        assert batch.denominators["nsp_loss"] == sum(int((a["next_sentence_label"] != -100).sum()) for a in arrays)
        assert batch.tokens == sum(
            int(a["attention_mask"].sum()) if "attention_mask" in a else a["input_ids"].size for a in arrays
        )


def test_held_out_batches_are_the_same_every_time_and_cover_the_limit(data: PretrainingData) -> None:
    def once(world: int) -> list[Any]:
        rows = [
            row
            for rank in range(world)
            for a in data.heldout(8, 50, rank=rank, world_size=world)
            for row in a["input_ids"]
        ]
        return sorted([t for t in row.tolist() if t != PAD] for row in rows)

    assert once(1) == once(1) == once(2)
    assert len(once(1)) == min(50, len(data.plan(0)))
