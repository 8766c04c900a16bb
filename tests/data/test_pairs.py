"""Next-sentence labels mean what they say, and no text is lost."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data import pairs
from bertkit.data.audit import separation
from bertkit.data.pairs import NO_PAIR, EpochPlan, check_objective, plan_counts, plan_epoch, room
from bertkit.data.token_store import TokenStore
from bertkit.data.units import make_units
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


@pytest.mark.parametrize("objective", ["mlm_nsp", "mlm_sop", "mlm"])
def test_a_plan_does_not_depend_on_how_many_units_are_planned_at_a_time(
    make_store: Any, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = long_documents(make_store, 150)
    whole = plan(store, objective, length=48)
    monkeypatch.setattr(pairs, "_BLOCK", 100)
    parts = plan(store, objective, length=48)
    for name in ("a_start", "a_end", "b_start", "b_end", "label"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=200), st.integers(0, 9))
def test_chunks_follow_one_another_from_each_document_s_start(sizes: list[int], seed: int) -> None:
    documents = np.append(0, np.cumsum(sizes))
    last = np.repeat(documents[1:], sizes)
    following = np.minimum(np.arange(len(last)) + np.random.default_rng(seed).integers(1, 5, size=len(last)), last)
    expected, at = [], 0
    while at < len(following):
        expected.append(at)
        at = int(following[at])
    assert pairs._chunk_starts(documents, following).tolist() == expected


def test_lengths_and_places_do_not_tell_the_labels_apart(make_store: Any) -> None:
    # Short and long documents, as in an encyclopedia: the case in which a filled-up second segment is the longer one.
    rng = np.random.default_rng(3)
    sizes = [rng.integers(3, 40, size=rng.choice([2, 3, 5, 9, 40])).tolist() for _ in range(1500)]
    store = make_store(numbered(sizes))
    made = plan(store, length=128)
    pair = made.label != NO_PAIR
    a, b, label = (made.a_end - made.a_start)[pair], (made.b_end - made.b_start)[pair], made.label[pair]
    for lengths_ in (a, b, a + b):
        assert abs(separation(lengths_, label) - 0.5) < 0.035
    borders = store.sentence_offsets[store.document_offsets]
    assert not np.isin(made.b_start[pair], borders).any()
    closes = np.isin(made.b_end[pair], borders)
    assert abs(closes[label == 0].mean() - closes[label == 1].mean()) < 0.05


def test_counts_name_what_could_not_be_as_it_should(make_store: Any) -> None:
    # Documents: one sentence; one with a sentence over the window; ordinary ones.
    store = make_store(numbered([[5], [80, 4, 4], [6, 6, 6, 6, 6], [7, 7, 7]]))
    counts = plan_counts(plan(store), store, "mlm_nsp", 32)
    assert counts["documents"] == 4
    assert counts["documents_of_one_sentence"] == 1
    assert counts["sentences_cut"] == 1
    assert counts["tokens"] == 5 + 88 + 30 + 21
    assert counts["tokens_unused"] == 0
    assert counts["label_0"] + counts["label_1"] + counts["without_pair"] == counts["sequences"]


def test_where_no_second_segment_fits_it_is_cut_and_counted(make_store: Any) -> None:
    # What is left beside an opening of 20 is 9: the other documents have nothing so short.
    store = make_store(numbered([[20, 5], [25, 25], [25, 25]]))
    made = [plan(store, epoch=epoch) for epoch in range(20)]
    counts = [plan_counts(one, store, "mlm_nsp", 32) for one in made]
    assert sum(count["seconds_cut"] for count in counts) > 0
    assert all(one.lengths.max() <= 32 for one in made)


def test_documents_of_one_sentence_serve_as_second_segments_where_there_are_no_others(make_store: Any) -> None:
    store = make_store(numbered([[4, 4, 4, 4, 4, 4], [5], [6]]))
    found = [plan(store, length=20, seed=seed) for seed in range(20)]
    random = [one.b_start[one.label == 1] for one in found]
    assert sum(map(len, random)) > 5
    assert set(np.concatenate(random).tolist()) == {24, 29}
    assert plan_counts(found[0], store, "mlm_nsp", 20)["seconds_opening"] == len(random[0])


@pytest.mark.parametrize("objective", ["mlm_sop", "mlm"])
def test_one_document_is_enough_without_next_sentences(make_store: Any, objective: str) -> None:
    store = make_store(numbered([[9] * 200]))
    made = plan(store, objective)
    assert plan_counts(made, store, objective, 32)["tokens_unused"] == 0
    assert len(made) > 50
