"""Pretraining batches say what the store says, and depend only on their position."""

from itertools import islice
from typing import Any

import numpy as np
import pytest

from bertkit.data.batching import Position
from bertkit.data.masking import Strategy, Vocabulary
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


@pytest.fixture(scope="module")
def small(make_store: Any) -> Any:
    """Three batches of 16 an epoch, by strategy; every third id continues a word."""
    rng = np.random.default_rng(4)
    documents = [[rng.integers(5, 500, size=rng.integers(2, 16)).tolist() for _ in range(12)] for _ in range(12)]
    store = make_store(documents, vocab_size=500, continuing=lambda number: number % 3 == 0)

    def make(strategy: Strategy, **changes: Any) -> PretrainingData:
        vocabulary, special = Vocabulary(MASK, np.arange(5, 500)), SpecialIds(CLS, SEP, PAD)
        return PretrainingData(store, special, vocabulary, "mlm_nsp", 48, 0.15, 0.1, 7, strategy, **changes)

    return make


@pytest.mark.parametrize("strategy", ["token", "whole_word", "span"])
def test_several_epochs_are_the_same_for_1_2_and_4_processes_and_from_any_start(small: Any, strategy: Strategy) -> None:
    data = small(strategy, mlm_probability_end=0.4, mlm_steps=9)
    count = 3 * data.steps_per_epoch(16)
    alone = flat(data.batches(16, 4, rank=0, world_size=1), count)
    assert {row[0].epoch for row in alone} >= {0, 1, 2}
    assert [row[0].step for row in alone] == [step for step in range(1, count + 1) for _ in range(4)]
    for world in (2, 4):
        shares = [row for rank in range(world) for row in flat(data.batches(16, 4, rank=rank, world_size=world), count)]
        assert sorted(shares, key=lambda row: row[:2]) == alone
    for step in (1, count // 2, count - 1):
        position = alone[4 * step - 1][0].following
        assert position.step == step + 1
        rest = small(strategy, mlm_probability_end=0.4, mlm_steps=9).batches(
            16, 4, rank=0, world_size=1, start=position
        )
        assert flat(rest, count - step) == alone[4 * step :]


def test_the_masked_share_goes_from_start_to_end_in_a_straight_line(small: Any) -> None:
    data = small("token", mlm_probability_end=0.45, mlm_steps=7)
    assert [round(data.probability_at(step), 3) for step in (1, 2, 4, 7, 9)] == [0.15, 0.2, 0.3, 0.45, 0.45]
    shares = [
        sum(len(a["masked_labels"]) for _, a in batch.micro_batches) / batch.tokens
        for batch in islice(data.batches(16, 16, rank=0, world_size=1), 7)
    ]
    assert shares[0] < 0.17 < 0.25 < shares[3] < 0.3 < 0.4 < shares[6]
    # Held-out text keeps the first share, so that its losses can be compared.
    heldout = next(data.heldout(16, 16, rank=0, world_size=1))
    assert len(heldout["masked_labels"]) / (heldout["input_ids"] != PAD).sum() < 0.17


def test_continued_pieces_are_masked_with_their_word(small: Any) -> None:
    data = small("whole_word")
    plan = data.plan(0)
    for start in range(0, len(plan) - 16, 16):
        made = data.collate(plan, np.arange(start, start + 16), 0)
        ids, masked = made["input_ids"].reshape(-1).copy(), np.zeros(made["input_ids"].size, dtype=bool)
        ids[made["masked_positions"]] = made["masked_labels"]
        masked[made["masked_positions"]] = True
        continues = (ids[1:] >= 5) & (ids[:-1] >= 5) & (ids[1:] % 3 == 0)
        assert np.array_equal(masked[1:][continues], masked[:-1][continues])


def test_the_padded_size_is_that_of_the_arrays(small: Any) -> None:
    for batch in islice(small("token").batches(16, 4, rank=1, world_size=2, start=Position(1, 0, 4)), 4):
        assert batch.padded_tokens == sum(arrays["input_ids"].size for _, arrays in batch.micro_batches)
        assert batch.sequences == 16 == len(batch.rows)
