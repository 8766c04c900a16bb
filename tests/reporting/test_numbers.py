"""Numbers as people read them."""

import math

import pytest

from bertkit.reporting import numbers

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numbers.brief(0.6789), "0.679"),
        (numbers.brief(0.0000412), "4.1e−5"),
        (numbers.brief(21_664), f"21.7{NBSP}k"),
        (numbers.brief(None), "–"),
        (numbers.score("accuracy", 0.9214), "92.1"),
        (numbers.score("accuracy", -0.013, sign=True), "−1.3"),
        (numbers.score("accuracy", 0.013, sign=True), "+1.3"),
        (numbers.score("accuracy", -0.0001, sign=True), "0.0"),
        (numbers.score("matthews_correlation", -0.25), "−0.250"),
        (numbers.score("accuracy", None), "–"),
        (numbers.score("accuracy", math.nan), "–"),
        (numbers.score_range("accuracy", (0.897, 0.942)), "89.7 to 94.2"),
        (numbers.score_range("accuracy", None), "–"),
        (numbers.count(1234), "1,234"),
        (numbers.count(41.333), "41.3"),
        (numbers.count(None), "–"),
        (numbers.share(0.0035), f"0.35{NBSP}%"),
        (numbers.share(0.00001), f"<0.01{NBSP}%"),
        (numbers.share(3, 4), f"75.0{NBSP}%"),
        (numbers.share(1, 0), "–"),
        (numbers.number(1156.2), "1,156"),
        (numbers.number(-0.06931), "−0.0693"),
        (numbers.number(math.inf), "–"),
        (numbers.size(4_400_000), f"4.4{NBSP}M"),
        (numbers.size(109_482_240), f"109{NBSP}M"),
        (numbers.size(512), "512"),
        (numbers.duration(0.84), f"0.8{NBSP}s"),
        (numbers.duration(59.7), f"1{NBSP}min 00{NBSP}s"),
        (numbers.duration(3725), f"1{NBSP}h 02{NBSP}min"),
        (numbers.duration(None), "–"),
    ],
)
def test_numbers(shown, expected):
    assert shown == expected
