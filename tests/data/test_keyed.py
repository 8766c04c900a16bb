"""Keyed draws are what random draws should be, and depend on nothing but their key."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data import keyed


@given(st.integers(0, 2**31), st.integers(0, 1000), st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_a_draw_does_not_depend_on_its_neighbours(seed: int, epoch: int, index: list[int]) -> None:
    family = keyed.key(seed, "test", epoch)
    together = keyed.bits(family, np.array(index))
    alone = [int(keyed.bits(family, np.array([i]))[0]) for i in index]
    assert together.tolist() == alone


def test_known_answer_of_splitmix64() -> None:
    # The first outputs for seed 1234567, as published with the reference implementation (Vigna, splitmix64.c).
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert keyed.bits(1234567, np.arange(5)).tolist() == expected


def test_draws_are_uniform() -> None:
    draws = keyed.uniform(keyed.key(1, "uniform"), np.arange(1_000_000))
    counts = np.histogram(draws, bins=100, range=(0, 1))[0]
    chi_squared = ((counts - 10_000) ** 2 / 10_000).sum()
    assert 50 < chi_squared < 170  # 99 degrees of freedom: outside about one time in 100,000
    assert draws.min() >= 0
    assert draws.max() < 1


def test_purposes_seeds_and_epochs_are_independent() -> None:
    index = np.arange(100_000)
    base = keyed.uniform(keyed.key(1, "a", 0), index)
    for other in (keyed.key(2, "a", 0), keyed.key(1, "b", 0), keyed.key(1, "a", 1)):
        assert abs(np.corrcoef(base, keyed.uniform(other, index))[0, 1]) < 0.02


@given(st.integers(0, 200), st.integers(0, 2**31))
def test_permutations_hold_every_number_once(n: int, seed: int) -> None:
    assert sorted(keyed.permutation(keyed.key(seed, "p"), n)) == list(range(n))


@given(st.integers(1, 2**40))
def test_integers_stay_below_high(high: int) -> None:
    drawn = keyed.integers(keyed.key(3, "i"), np.arange(1000), high)
    assert drawn.min() >= 0
    assert drawn.max() < high
