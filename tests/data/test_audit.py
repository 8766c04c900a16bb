"""The audit passes what is right and names what is not: each violation is planted and must be seen."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from bertkit.data.audit import (
    Finding,
    audit_duplicates,
    audit_plan,
    audit_renewal,
    audit_store,
    chance,
    separation,
)
from bertkit.data.audit_batches import ArrayAudit, audit_new_masks
from bertkit.data.masking import Strategy, Vocabulary
from bertkit.data.pairs import NO_PAIR, EpochPlan
from bertkit.data.pretraining import PretrainingData, SpecialIds
from bertkit.data.token_store import TokenStore

CLS, SEP, PAD, MASK = 2, 3, 0, 4
SPECIAL, VOCABULARY = SpecialIds(CLS, SEP, PAD), Vocabulary(MASK, np.arange(5, 500))
Arrays = dict[str, np.ndarray]


def broken(findings: list[Finding]) -> list[str]:
    return [finding.name for finding in findings if not finding.holds]


@pytest.fixture(scope="module")
def store(make_store: Any) -> TokenStore:
    rng = np.random.default_rng(0)
    documents = [
        [rng.integers(5, 500, size=rng.integers(2, 20)).tolist() for _ in range(rng.integers(1, 40))]
        for _ in range(120)
    ]
    return make_store(documents, vocab_size=500, continuing=lambda number: number % 3 == 0)


def data(store: TokenStore, strategy: Strategy = "token", objective: Any = "mlm_nsp") -> PretrainingData:
    return PretrainingData(store, SPECIAL, VOCABULARY, objective, 64, 0.15, 0.1, 7, strategy)


# --- plans -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["mlm_nsp", "mlm_sop", "mlm"])
def test_a_right_plan_keeps_every_law(store: TokenStore, objective: Any) -> None:
    assert broken(audit_plan(data(store, objective=objective).plan(0), store, objective)) == []


def changed(plan: EpochPlan, rows: Any, **columns: Any) -> EpochPlan:
    """A copy of `plan` with other values in `rows` of some columns."""
    made = {name: getattr(plan, name).copy() for name in columns}
    for name, values in columns.items():
        made[name][rows] = values
    return replace(plan, **made)


def test_a_negative_of_the_same_document_is_seen(store: TokenStore) -> None:
    plan = data(store).plan(0)
    row = np.flatnonzero(plan.label == 0)[0]
    assert broken(audit_plan(changed(plan, row, label=1), store, "mlm_nsp"))[-1:] == ["label-1 pairs of one document"]


def test_a_wrong_next_segment_is_seen(store: TokenStore) -> None:
    plan = data(store).plan(0)
    row = np.flatnonzero(plan.label == 1)[0]
    assert "label-0 pairs that do not follow each other in one document" in broken(
        audit_plan(changed(plan, row, label=0), store, "mlm_nsp")
    )
    row = np.flatnonzero(plan.label == 0)[3]
    one_later = changed(plan, row, b_start=plan.b_start[row] + 1)
    found = broken(audit_plan(one_later, store, "mlm_nsp"))
    assert found == [
        "tokens of the store not used, or used more than once",
        "label-0 pairs that do not follow each other in one document",
    ]


def test_unbalanced_labels_are_seen(store: TokenStore) -> None:
    plan = data(store).plan(0)
    few = np.flatnonzero(plan.label == 1)[::2]
    kept = np.setdiff1d(np.arange(len(plan)), few)
    lopsided = EpochPlan(*(x[kept] for x in (plan.a_start, plan.a_end, plan.b_start, plan.b_end, plan.label)))
    assert "share of label 1 among pairs" in broken(audit_plan(lopsided, store, "mlm_nsp"))


def test_a_swap_that_is_not_one_is_seen(store: TokenStore) -> None:
    plan = data(store, objective="mlm_sop").plan(0)
    row = np.flatnonzero(plan.label == 0)[0]
    assert broken(audit_plan(changed(plan, row, label=1), store, "mlm_sop")) == [
        "label-1 pairs that are not swapped neighbours"
    ]


@pytest.mark.parametrize("by", [-1, 1])
def test_a_token_left_out_or_used_twice_is_seen(store: TokenStore, by: int) -> None:
    plan = data(store).plan(0)
    row = np.flatnonzero(plan.label == NO_PAIR)[2]
    moved = changed(plan, row, a_end=plan.a_end[row] + by, b_start=plan.b_start[row] + by, b_end=plan.b_end[row] + by)
    assert "tokens of the store not used, or used more than once" in broken(audit_plan(moved, store, "mlm_nsp"))


def test_a_segment_over_a_document_s_end_is_seen(store: TokenStore) -> None:
    plan = data(store).plan(0)
    border = store.sentence_offsets[store.document_offsets[1]]
    row = np.flatnonzero(plan.a_start >= border)[0]
    assert "segments of two documents" in broken(audit_plan(changed(plan, row, a_start=border - 1), store, "mlm_nsp"))


def test_pairs_that_come_back_every_epoch_are_seen(store: TokenStore) -> None:
    of = data(store)
    assert audit_renewal(of.plan(0), of.plan(1)).holds
    plan = of.plan(1)
    assert not audit_renewal(plan, plan).holds


def test_lengths_that_give_the_label_away_are_measured(store: TokenStore) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, size=4000)
    assert separation(label * 3 + 1, label) == 1.0
    assert abs(separation(rng.integers(1, 9, size=4000), label) - 0.5) < 0.04
    names = [finding.name for finding in audit_plan(data(store).plan(0), store, "mlm_nsp")]
    assert {"AUC of label by length of A", "AUC of label by length of both"} <= set(names)


# --- stores ----------------------------------------------------------------------------------------------------------


def test_a_right_store_keeps_every_law(store: TokenStore) -> None:
    assert broken(audit_store(store, SPECIAL, VOCABULARY)) == []


@pytest.mark.parametrize(
    ("name", "plant", "law"),
    [
        ("sentence_offsets", lambda x: x.__setitem__(5, x[4]), "train: sentence offsets out of order"),
        ("sentence_offsets", lambda x: x.__setitem__(0, 1), "train: sentence offsets out of order"),
        ("document_offsets", lambda x: x.__setitem__(-1, x[-1] + 1), "train: document offsets out of order"),
        ("tokens", lambda x: x.__setitem__(7, 500), "train: ids outside the vocabulary"),
        ("tokens", lambda x: x.__setitem__(7, SEP), "train: special tokens in the text"),
    ],
)
def test_damage_is_seen(store: TokenStore, name: str, plant: Callable[[Any], None], law: str) -> None:
    damaged = TokenStore(store.path, store.split)
    values = np.array(getattr(store, name))
    plant(values)
    damaged.__dict__[name] = values
    assert broken(audit_store(damaged, SPECIAL, VOCABULARY)) == [law]


def test_a_document_on_both_sides_is_seen(make_store: Any) -> None:
    shared, own = [[5, 6, 7], [8, 9]], [[5, 6, 7], [9, 8]]
    train = make_store([[[1, 2]], shared, [[3]]])
    law, share = audit_duplicates(train, make_store([own, shared]))
    assert (law.value, law.holds) == (1, False)
    assert share.value == 0.75
    law, share = audit_duplicates(train, make_store([own, [[8, 9], [5, 6, 7]]]), max_share=0.5)
    assert (law.holds, share.value, share.holds) == (True, 0.75, False)


# --- arrays ----------------------------------------------------------------------------------------------------------


def audited(
    store: TokenStore,
    plant: Callable[[Arrays], None] = lambda arrays: None,
    strategy: Strategy = "token",
    **changes: Any,
) -> list[str]:
    """The laws broken by thirty batches after `plant` has had its way with the arrays."""
    of = replace(data(store, strategy), **changes)
    audit = ArrayAudit(store, SPECIAL, VOCABULARY, 64, 0.15, strategy)
    plan = of.plan(0)
    for batch in islice(of.batches(16, 16, rank=0, world_size=1), 30):
        for _, arrays in batch.micro_batches:
            plant(arrays)
            audit.add(plan, batch.rows, arrays)
    return broken(audit.findings())


@pytest.mark.parametrize("strategy", ["token", "whole_word", "span"])
def test_right_arrays_keep_every_law(store: TokenStore, strategy: Strategy) -> None:
    assert audited(store, strategy=strategy) == []


def test_a_share_of_12_percent_is_seen(store: TokenStore) -> None:
    assert audited(store, mlm_probability=0.12) == ["share of tokens masked"]


def test_sequences_that_are_too_long_are_seen(store: TokenStore) -> None:
    assert audited(store, max_seq_length=72) == ["sequences longer than max_seq_length"]


def masks_a_separator(arrays: Arrays) -> None:
    flat = arrays["input_ids"].reshape(-1)
    at = np.flatnonzero(flat == SEP)[:1]
    where = np.append(arrays["masked_positions"], at)
    order = np.argsort(where)
    arrays["masked_positions"], arrays["masked_labels"] = where[order], np.append(arrays["masked_labels"], SEP)[order]
    flat[at] = MASK


def puts_in_a_special_token(arrays: Arrays) -> None:
    flat, where = arrays["input_ids"].reshape(-1), arrays["masked_positions"]
    random = where[(flat[where] != MASK) & (flat[where] != arrays["masked_labels"])]
    flat[random[:1]] = CLS


def only_masks(arrays: Arrays) -> None:
    arrays["input_ids"].reshape(-1)[arrays["masked_positions"]] = MASK


def changes_a_token(arrays: Arrays) -> None:
    flat = arrays["input_ids"].reshape(-1)
    other = np.setdiff1d(np.flatnonzero(flat >= 5), arrays["masked_positions"])[0]
    flat[other] = 5 + (flat[other] - 4) % 495


def forgets_a_row(arrays: Arrays) -> None:
    width = arrays["input_ids"].shape[1]
    inside = arrays["masked_positions"] < width
    arrays["input_ids"].reshape(-1)[arrays["masked_positions"][inside]] = arrays["masked_labels"][inside]
    arrays["masked_positions"], arrays["masked_labels"] = (
        arrays[name][~inside] for name in ("masked_positions", "masked_labels")
    )


def mixes_the_types(arrays: Arrays) -> None:
    arrays["token_type_ids"][0, 1] ^= 1


def turns_a_label(arrays: Arrays) -> None:
    arrays["next_sentence_label"] = 1 - np.abs(arrays["next_sentence_label"])


@pytest.mark.parametrize(
    ("plant", "law"),
    [
        (masks_a_separator, "special tokens masked"),
        (puts_in_a_special_token, "random tokens that are special"),
        (only_masks, "masked tokens that become [MASK]"),
        (changes_a_token, "batches that are not the text of the store, built as BERT reads it"),
        (mixes_the_types, "batches that are not the text of the store, built as BERT reads it"),
        (forgets_a_row, "sequences without a target"),
        (turns_a_label, "sequences with another label than planned"),
    ],
)
def test_a_violation_in_the_arrays_is_seen(store: TokenStore, plant: Callable[[Arrays], None], law: str) -> None:
    assert law in audited(store, plant)


def test_words_masked_in_part_are_seen(store: TokenStore) -> None:
    of = data(store, "token")  # whose arrays are held against the law of whole words
    audit = ArrayAudit(store, SPECIAL, VOCABULARY, 64, 0.15, "whole_word")
    audit.add(of.plan(0), np.arange(200), of.collate(of.plan(0), np.arange(200), 0))
    assert "words masked in part" in broken(audit.findings())


def test_masks_that_come_back_every_epoch_are_seen(store: TokenStore) -> None:
    of = data(store)
    audit = ArrayAudit(store, SPECIAL, VOCABULARY, 64, 0.15, "token")
    rows = np.arange(200)
    masked = [audit.add(of.plan(epoch), rows, of.collate(of.plan(epoch), rows, epoch)) for epoch in (0, 1)]
    tokens = store.counts["tokens"]
    assert audit_new_masks(masked[0], masked[1], tokens).holds
    assert not audit_new_masks(masked[0], masked[0], tokens).holds


def test_chance_is_allowed_for_and_no_more() -> None:
    rng = np.random.default_rng(0)
    assert all(chance("x", int((rng.random(10_000) < 0.8).sum()), 10_000, 0.8).holds for _ in range(200))
    assert not chance("x", 7800, 10_000, 0.8).holds
    assert chance("x", 7800, 10_000, 0.8, each=3.0).holds
