"""Labels of every kind are read by stated rules, and what is none says why."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data.task_labels import FLAG, LabelRule, UnusableError

NUMBERS = LabelRule("regression")
SEVERAL = LabelRule("multi_label_classification")
SEPARATED = LabelRule("multi_label_classification", separator="|")


def read(rule, label, changed=None):
    return rule.read({"label": label}, Counter() if changed is None else changed)


@pytest.mark.parametrize(
    ("value", "number"),
    [("2.500", 2.5), (3, 3.0), (-1.25, -1.25), (" 4 ", 4.0), ("1e-3", 0.001), (".5", 0.5), ("007", 7.0), ("+2.", 2.0)],
)
def test_numbers(value, number):
    assert read(NUMBERS, value) == number


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "label is NaN or infinite"),
        ("-Infinity", "label is NaN or infinite"),
        (math.nan, "label is NaN or infinite"),
        (math.inf, "label is NaN or infinite"),
        ("1e999", "label is NaN or infinite"),
        (10**400, "label is NaN or infinite"),
        ("good", "label is not a number"),
        ("NA", "label is not a number"),
        ("3,5", "label is not a number"),
        ("1_000", "label is not a number"),
        ("１.５", "label is not a number"),
        ("0x10", "label is not a number"),
        (True, "label is not a number"),
        ([1.0], "label is not a number"),
        ("", "no label"),
        (None, "no label"),
    ],
)
def test_what_is_no_number_is_never_made_one(value, reason):
    with pytest.raises(UnusableError) as caught:
        read(NUMBERS, value)
    assert caught.value.reason == reason


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_as_it_is_written(number):
    assert read(NUMBERS, number) == read(NUMBERS, repr(number)) == number


def test_several_labels_come_once_and_in_one_order():
    changed = Counter()
    assert read(SEVERAL, ["tea", " rain ", "tea", 1.0], changed) == ("1", "rain", "tea")
    assert dict(changed) == {
        "spaces around the label removed": 1,
        "label 1.0 read as 1": 1,
        "label given twice counted once": 1,
    }
    assert read(SEVERAL, []) == ()
    assert read(LabelRule(), ["NA", "007"]) == ("007", "NA")


def test_minus_one_is_no_label_where_numbers_have_names():
    with pytest.raises(UnusableError, match="'-1' is not one of 'yes', 'no'") as caught:
        read(LabelRule(names=("yes", "no")), -1)
    assert "-1 says that a row has no label" in caught.value.remedy
    assert read(LabelRule(names=("-1", "1")), -1) == "-1"
    assert read(LabelRule(), -1) == "-1"


def test_several_labels_in_one_value():
    changed = Counter()
    assert read(SEPARATED, "tea| rain", changed) == ("rain", "tea")
    assert read(SEPARATED, "NA|007") == ("007", "NA")
    assert read(SEPARATED, "", changed) == ()
    assert changed["empty label read as none of the labels"] == 1
    for broken in ("tea||rain", "|tea", "tea|"):
        with pytest.raises(UnusableError, match="the label is empty"):
            read(SEPARATED, broken)


@pytest.mark.parametrize("value", ["tea", 1, None, math.nan, {"tea": 1}])
def test_where_several_are_expected_one_is_not_guessed_to_be_a_list(value):
    with pytest.raises(UnusableError) as caught:
        read(SEVERAL, value)
    assert caught.value.reason in ("label is not a list", "no label")


def test_a_list_where_one_label_is_expected_is_refused():
    with pytest.raises(UnusableError, match="a list"):
        read(LabelRule("single_label_classification"), ["a"])


def test_names_apply_to_each_of_several_labels():
    rule = LabelRule("multi_label_classification", names=("rain", "tea"), separator=",")
    assert read(rule, "1,rain") == ("rain", "tea")
    with pytest.raises(UnusableError, match="did you mean 'tea'"):
        read(rule, "teas")


@pytest.mark.parametrize(
    ("rain", "tea", "labels"),
    [("1", "0", ("rain",)), (1, True, ("rain", "tea")), (0.0, "false", ()), (" TRUE ", 1.0, ("rain", "tea"))],
)
def test_a_column_for_each_label(rain, tea, labels):
    rule = LabelRule("multi_label_classification", flags=("tea", "rain"))
    assert rule.read({FLAG + "rain": rain, FLAG + "tea": tea}, Counter()) == labels


@pytest.mark.parametrize("value", ["2", "yes", -1, 0.5, "", None, math.nan, "NA"])
def test_a_column_for_a_label_holds_0_or_1(value):
    rule = LabelRule("multi_label_classification", flags=("tea",))
    with pytest.raises(UnusableError, match="'tea'"):
        rule.read({FLAG + "tea": value}, Counter())


def test_numbers_of_any_length_are_labels():
    long = "9" * 5000
    assert read(LabelRule(), long) == read(LabelRule(), f"{long}.0") == long
    assert read(LabelRule(), "-0.0") == "0"
    with pytest.raises(UnusableError, match="is not one of"):
        read(LabelRule(names=("yes", "no")), long)


@pytest.mark.parametrize(
    "rule", [LabelRule("regression"), LabelRule("multi_label_classification"), LabelRule(names=("x",))]
)
def test_a_document_in_the_place_of_a_label_is_not_told_in_full(rule):
    with pytest.raises(UnusableError) as caught:
        read(rule, "a long document " * 1000)
    assert "a long document" in caught.value.what
    assert len(caught.value.what) < 200
