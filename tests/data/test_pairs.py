"""Next-sentence labels mean what they say, and no text is lost."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.pairs import NO_PAIR, EpochPlan, check_objective, make_units, plan_epoch, room
from bertkit.data.token_store import TokenStore
from bertkit.errors import DataError


def numbered(lengths: list[list[int]]) -> list[list[list[int]]]:
    """Documents whose sentences have the given lengths."""
    return [[[1] * n for n in doc] for doc in lengths]


def plan(store: TokenStore, objective: Any = "mlm_nsp", length: int = 32, seed: int = 1, epoch: int = 0) -> EpochPlan:
    units = make_units(store, room(objective, length))
    return plan_epoch(units, objective=objective, max_seq_length=length, short_seq_prob=0.1, seed=seed, epoch=epoch)


def document_of(store: TokenStore, token: np.ndarray) -> np.ndarray:
    borders = store.sentence_offsets[store.document_offsets]
    return np.searchsorted(borders, token, side="right") - 1


lengths = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=12), min_size=2, max_size=12)


@settings(max_examples=80, deadline=None)
@given(lengths, st.integers(0, 1000), st.integers(0, 5))
def test_labels_are_true_by_construction(make_store: Any, sizes: list[list[int]], seed: int, epoch: int) -> None:
    store = make_store(numbered(sizes))
    made = plan(store, seed=seed, epoch=epoch)
    next_, random = made.label == 0, made.label == 1
    assert np.array_equal(made.b_start[next_], made.a_end[next_])
    assert np.array_equal(document_of(store, made.a_start[next_]), document_of(store, made.b_end[next_] - 1))
    assert not np.any(document_of(store, made.a_start[random]) == document_of(store, made.b_start[random]))
    assert np.all((made.b_end > made.b_start) == (made.label != NO_PAIR))
    assert np.all(made.a_end > made.a_start)
    assert made.lengths.max() <= 32
    # First segments and true second ones stay inside one document.
    assert np.array_equal(document_of(store, made.a_start), document_of(store, made.a_end - 1))


@settings(max_examples=60, deadline=None)
@given(lengths, st.sampled_from(["mlm_nsp", "mlm_sop", "mlm"]))
def test_every_token_is_used_once_an_epoch(make_store: Any, sizes: list[list[int]], objective: str) -> None:
    store = make_store(numbered(sizes))
    made = plan(store, objective)
    used = np.zeros(store.counts["tokens"], dtype=int)
    own = np.where(made.label == 1, 0, 1) if objective == "mlm_nsp" else np.ones(len(made), dtype=int)
    for a, b, c, d, mine in zip(made.a_start, made.a_end, made.b_start, made.b_end, own, strict=True):
        used[a:b] += 1
        used[c:d] += mine
    assert used.tolist() == [1] * len(used)


def long_documents(make_store: Any, count: int = 400) -> TokenStore:
    rng = np.random.default_rng(0)
    return make_store(numbered([rng.integers(3, 25, size=rng.integers(2, 40)).tolist() for _ in range(count)]))


def test_half_of_the_pairs_are_random(make_store: Any) -> None:
    made = plan(long_documents(make_store), length=64)
    pairs = made.label[made.label != NO_PAIR]
    assert abs(pairs.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(pairs))


def test_second_segments_start_at_a_sentence_and_are_hardly_ever_cut(make_store: Any) -> None:
    store = long_documents(make_store)
    made = plan(store, length=64)
    borders = set(store.sentence_offsets.tolist())
    random = made.label == 1
    assert set(made.b_start[random].tolist()) <= borders
    cut = np.mean([end not in borders for end in made.b_end[random].tolist()])
    assert cut < 0.01


def test_an_epoch_is_a_function_of_seed_and_number_alone(make_store: Any) -> None:
    store = long_documents(make_store, 50)
    first, again = plan(store, epoch=3), plan(TokenStore(store.path, "train"), epoch=3)
    assert all(np.array_equal(getattr(first, f), getattr(again, f)) for f in ("a_start", "b_start", "label"))
    for other in (plan(store, epoch=4), plan(store, epoch=3, seed=2)):
        assert not np.array_equal(first.b_start, other.b_start)


def test_short_sequences_are_about_one_in_ten(make_store: Any) -> None:
    store = make_store(numbered([[1] * 5000, [1] * 5000]))
    made = plan(store, "mlm", length=52)
    assert 0.05 < np.mean(made.lengths < 52) < 0.16


def test_sentence_order_pairs_are_neighbours_in_either_order(make_store: Any) -> None:
    made = plan(long_documents(make_store, 50), "mlm_sop")
    kept, swapped = made.label == 0, made.label == 1
    assert np.array_equal(made.a_end[kept], made.b_start[kept])
    assert np.array_equal(made.b_end[swapped], made.a_start[swapped])


def test_a_sentence_longer_than_the_sequence_is_cut_into_equal_pieces(make_store: Any) -> None:
    store = make_store(numbered([[100, 3], [5, 5]]))
    units = make_units(store, 29)
    assert np.diff(units.offsets).tolist() == [25, 25, 25, 25, 3, 5, 5]


@pytest.mark.parametrize(
    ("sizes", "objective", "message"),
    [
        ([[3, 3, 3]], "mlm_nsp", "the corpus has 1 document"),
        ([[3], [4], [5]], "mlm_nsp", "each of the 3 documents has one sentence"),
        ([[3], [4]], "mlm_sop", "each of the 2 documents has one sentence"),
    ],
)
def test_impossible_objectives_are_refused_with_a_remedy(
    make_store: Any, sizes: list[list[int]], objective: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_objective(make_store(numbered(sizes)), objective)
    assert "objective=mlm" in str(caught.value)
    check_objective(make_store(numbered(sizes)), "mlm")
