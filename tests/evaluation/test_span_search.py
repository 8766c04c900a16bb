"""The exact search finds what trying every span finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bertkit.evaluation.span_search import best_spans

SCORES = st.integers(-4, 4).map(float)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), size=st.integers(0, 9), count=st.integers(1, 30), length=st.integers(1, 12))
def test_the_best_spans_are_those_of_a_search_through_all(
    data: st.DataObject, size: int, count: int, length: int
) -> None:
    starts, ends = (data.draw(arrays(np.float64, size, elements=SCORES)) for _ in range(2))
    every = [(i, j, float(starts[i] + ends[j])) for i in range(size) for j in range(i, min(i + length, size))]
    expected = sorted(every, key=lambda span: (-span[2], span[0], span[1]))[:count]
    assert best_spans(starts, ends, count=count, max_length=length) == expected


def test_a_good_span_of_two_poor_ends_is_found() -> None:
    # The 20 best starts all stand behind the 20 best ends: a search among those alone finds nothing.
    starts, ends = np.zeros(100), np.zeros(100)
    ends[:20] = 5.0
    starts[80:] = 5.0
    ((first, last, score),) = best_spans(starts, ends, count=1, max_length=30)
    assert (first, last, score) == (0, 0, 5.0)
