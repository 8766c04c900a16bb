"""Splits depend on what texts say, labels are checked across them, and overlap is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data import task_splits
from bertkit.data.task_examples import Example
from bertkit.data.task_splits import (
    as_columns,
    characters,
    check_splits,
    label_counts,
    label_order,
    label_range,
    overlap,
    problem_type,
    rarest,
    sample,
    tenths,
)
from bertkit.errors import DataError


def examples(*pairs, file="train.csv"):
    return [
        Example(f"{file}:{i}", text, label, f"{file}:{i}", f"/data/{file}:{i}")
        for i, (text, label) in enumerate(pairs, start=2)
    ]


def cut(rows, percentage, purpose):
    return task_splits.cut(rows, [row.label for row in rows], percentage, purpose)


def many(n):
    return examples(*((f"sentence number {i}", "ab"[i % 2]) for i in range(n)))


@given(st.permutations(many(60)), st.integers(0, 50))
def test_a_cut_does_not_depend_on_order_and_never_parts_equal_texts(shuffled, percentage):
    kept, taken = cut(shuffled, percentage, "validation")
    assert sorted([*kept, *taken], key=lambda e: e.id) == sorted(shuffled, key=lambda e: e.id)
    assert {e.id for e in taken} == {e.id for e in cut(many(60), percentage, "validation")[1]}
    repeats = examples(*((e.text + "  ", e.label) for e in shuffled))
    assert [e.text.strip() for e in cut(repeats, percentage, "validation")[1]] == [e.text for e in taken]


def test_a_cut_takes_its_share_and_purposes_differ():
    left, taken = cut(many(4000), 10, "validation")
    assert len(taken) == 400
    assert len(cut(left, 10, "test")[1]) == 360
    assert len({e.id for e in taken} & {e.id for e in cut(many(4000), 10, "test")[1]}) < 80


@given(st.lists(st.sampled_from("aaaaaaaaabbc"), max_size=200), st.integers(0, 50))
def test_every_label_gives_its_share_and_none_is_cut_off_whole(labels, percentage):
    rows = examples(*((f"text {i}", label) for i, label in enumerate(labels)))
    kept, taken = cut(rows, percentage, "validation")
    for label in set(labels):
        count, found = labels.count(label), sum(row.label == label for row in taken)
        assert abs(found - count * percentage / 100) < 2
        assert found < count
    if len(set(labels)) < len(labels) and percentage:
        assert len(taken) <= len(rows) * percentage / 100 + 1
    assert len(kept) + len(taken) == len(rows)


def test_a_cut_changes_little_when_rows_are_added():
    before = {row.text for row in cut(many(1000), 10, "validation")[1]}
    after = {row.text for row in cut(many(1010), 10, "validation")[1]}
    assert len(before - after) <= 10


def test_rows_of_several_labels_go_with_their_rarest_and_numbers_with_their_tenth():
    assert rarest([["common", "rare"], ["common"], [], ["common", "common"]]) == [
        (1, "rare"),
        (3, "common"),
        (0, ""),
        (3, "common"),
    ]
    assert tenths([float(i) for i in range(20)]) == [i // 2 for i in range(20)]
    assert tenths([1.0, 1.0, 0.0]) == [3, 3, 0]


def test_a_larger_sample_holds_the_smaller_in_the_old_order():
    texts = [example.content for example in many(200)]
    small, large = sample(texts, 20), sample(texts, 50)
    assert (len(small), len(large)) == (20, 50)
    assert [i for i in large if i in small] == small
    assert small == sorted(small)
    assert {199 - i for i in sample(texts[::-1], 20)} == set(small)
    assert sample(texts, 500) == list(range(200))


def test_labels_are_ordered_by_value_or_by_name():
    train = examples(("a", "10"), ("b", "9"), ("c", "-1"))
    assert label_order({"train": train}, None) == ["-1", "9", "10"]
    assert label_order({"train": examples(("a", "b"), ("b", "10"), ("c", "9"))}, None) == ["10", "9", "b"]
    assert label_order({"train": train}, ["9", "-1", "10"]) == ["9", "-1", "10"]
    assert label_order({"train": examples(("a", "9" * 5000), ("b", "1"))}, None) == ["1", "9" * 5000]


def test_a_label_that_train_lacks_is_named_with_its_place():
    splits = {"train": examples(("a", "good"), ("b", "bad")), "test": examples(("c", "gut"), file="test.csv")}
    with pytest.raises(DataError, match=r"'gut' of test does not occur in train, which has 'bad', 'good'") as caught:
        label_order(splits, None)
    assert caught.value.where == "/data/test.csv:2"
    carved = {"train": splits["train"], "validation": examples(("c", "rare"))}
    with pytest.raises(DataError, match="change validation_percentage"):
        label_order(carved, None, carved=True)


def test_documents_in_the_place_of_labels_are_not_told_in_full():
    train = examples(*((f"t{i}", f"{i} " + "a long document " * 1000) for i in range(40)))
    with pytest.raises(DataError) as caught:
        label_order({"train": train, "validation": examples(("x", "another one " * 1000))}, None)
    assert caught.value.what.startswith("the label 'another one another one")
    assert len(str(caught.value)) < 3000


def test_splits_that_could_only_mislead_are_refused():
    with pytest.raises(DataError, match="two labels or more, it has only 'a'"):
        label_order({"train": examples(("x", "a"), ("y", "a"))}, None)
    cut_off = {"train": examples(("x", "a"), ("y", "a")), "validation": examples(("z", "b"))}
    with pytest.raises(DataError, match="only 'a'") as caught:
        label_order(cut_off, None, carved=True)
    assert "validation_percentage" in caught.value.remedy
    with pytest.raises(DataError, match="train has no rows"):
        label_order({"train": []}, None)
    with pytest.raises(DataError, match="test has no rows"):
        check_splits({"test": []})
    with pytest.raises(DataError, match="all 2 rows of test have the label 'a'"):
        check_splits({"test": examples(("x", "a"), ("y", "a"))})


def test_overlap_counts_rows():
    splits = {
        "train": examples(("same", "a"), ("same", "b"), ("twice", "a"), ("twice", "a"), ("once", "b")),
        "validation": examples(("once", "b"), ("new", "a")),
        "test": examples(("same", "a"), ("same", "a"), ("new", "b")),
    }
    assert overlap(splits) == {
        "validation_in_train": 1,
        "test_in_train": 2,
        "test_in_validation": 1,
        "train_repeats": 2,
        "train_contradictions": 2,
    }


def test_pairs_are_told_apart_by_both_texts():
    def pair(a, b, label):
        return Example(f"{a}{b}", a, label, "f:1", "/f:1", b)

    rows = [pair("same", f"second {i}", "xy"[i % 2]) for i in range(400)]
    kept, taken = cut(rows, 10, "validation")
    assert len(taken) == 40
    assert overlap({"train": kept, "validation": taken})["validation_in_train"] == 0
    counts = overlap(
        {"train": [pair("a", "b", "x"), pair("a", "c", "y"), pair("a", "b", "y")], "test": [pair("b", "a", "x")]}
    )
    assert counts == {"test_in_train": 0, "train_repeats": 1, "train_contradictions": 2}
    assert list(as_columns(rows)) == ["id", "text", "text_pair", "label", "where"]
    assert characters([pair("abc", "de", "x")]) == {"median": 5, "max": 5}


def labelled(*labels, file="train.csv"):
    return examples(*((f"text {i}", label) for i, label in enumerate(labels)), file=file)


def test_what_labels_are_is_told_by_their_form_and_numbers_with_a_fraction_must_be_declared():
    assert problem_type({"train": labelled("1", "2", "NA")}) == "single_label_classification"
    assert problem_type({"train": labelled("1.5", "x")}) == "single_label_classification"
    assert problem_type({"train": labelled(("a",), ())}) == "multi_label_classification"
    with pytest.raises(DataError, match=r"problem_type=regression") as caught:
        problem_type({"train": labelled("1", "2"), "test": labelled("3", "-0.5", file="test.csv")})
    assert caught.value.where == "/data/test.csv:3"
    with pytest.raises(DataError, match=r"the label is 'a', that of train.csv:2 is a list") as caught:
        problem_type({"train": labelled(("a",), "a")})
    assert caught.value.where == "/data/train.csv:3"


def test_several_labels_are_counted_ordered_and_checked():
    train = labelled(("10", "9"), (), ("9",))
    assert label_order({"train": train}, None) == ["9", "10"]
    assert label_counts(train, ["9", "10"]) == {"9": 2, "10": 1}
    with pytest.raises(DataError, match=r"'8' of test does not occur in train"):
        label_order({"train": train, "test": labelled(("9", "8"), file="test.csv")}, None)
    with pytest.raises(DataError, match="must have a label, it has none"):
        label_order({"train": labelled((), ())}, None)
    with pytest.raises(DataError, match=r"all 2 rows of train have the label \['a', 'b'\]"):
        check_splits({"train": labelled(("a", "b"), ("a", "b"))})


def test_numbers_that_are_all_one_teach_nothing():
    with pytest.raises(DataError, match=r"all 3 rows of test have the label 2\.5"):
        check_splits({"train": labelled(1.0, 2.0), "test": labelled(2.5, 2.5, 2.5)})
    assert label_range(labelled(1.0, 2.0, 6.0)) == {"min": 1.0, "mean": 3.0, "max": 6.0}
