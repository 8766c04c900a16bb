"""Rows become examples by stated rules, and every row that does not is counted by its reason."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data.tables.rows import BadRow, Row
from bertkit.data.task_examples import Tally, read_examples
from bertkit.data.task_labels import LabelRule
from bertkit.errors import DataError


def row(text="some text", label="x", number=2):
    return Row(number, f"/somewhere/train.csv:{number}", {"text": text, "label": label})


def read(*given, tally=None, **options):
    return list(read_examples(given, prefix="train", tally=tally or Tally(), **options))


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("1", "1"),
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        (" 1 ", "1"),
        ("007", "007"),
        ("1.5", "1.5"),
        (1.5, "1.5"),
        (-2.0, "-2"),
        (True, "true"),
        ("True", "True"),
        ("NA", "NA"),
        ("null", "null"),
        ("非常好", "非常好"),
    ],
)
def test_one_rule_for_labels(label, expected):
    assert read(row(label=label))[0].label == expected


def test_rewritten_labels_are_counted():
    tally = Tally()
    read(row(label="1.0"), row(label=" a "), row(label=1), tally=tally)
    assert {k: v for k, v in tally.changed.items() if v} == {
        "label 1.0 read as 1": 1,
        "spaces around the label removed": 1,
    }


def test_texts_stay_as_they_are():
    texts = ["NA", "007", " spaces ", "a\nb", "\u3000全角"]
    assert [example.text for example in read(*(row(text=text) for text in texts))] == texts


def test_where_has_the_file_name_alone_and_place_its_path():
    example = read(row(number=7), folder=Path("/somewhere"))[0]
    assert (example.id, example.where, example.place) == ("train:7", "train.csv:7", "/somewhere/train.csv:7")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(text=" \u3000\t"), "empty text"),
        (row(text=None), "empty text"),
        (row(text=7), "text is not a string"),
        (row(text="a\ud83d"), "lone surrogate"),
        (row(label="\udc00"), "lone surrogate"),
        (row(label=""), "no label"),
        (row(label=None), "no label"),
        (row(label=float("nan")), "no label"),
        (row(label={"a": 1}), "label is not text or a number"),
        (BadRow(2, "broken quotes", DataError("bad", where="/somewhere/train.csv:2")), "broken quotes"),
    ],
)
def test_unusable_rows_stop_the_run_or_are_counted(bad, reason):
    with pytest.raises(DataError, match="max_bad_rows") as caught:
        read(bad)
    assert caught.value.where == "/somewhere/train.csv:2"
    tally = Tally()
    assert len(read(row(), bad, row(), tally=tally, max_bad_rows=1)) == 2
    assert (tally.read, dict(tally.dropped)) == (3, {reason: 1})


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("", "empty text_pair"),
        (None, "empty text_pair"),
        (7, "text_pair is not a string"),
        ("a\ud83d", "lone surrogate"),
    ],
)
def test_a_pair_needs_both_texts(second, reason):
    def paired(text_pair):
        return Row(2, "/somewhere/train.csv:2", {"text": "one", "text_pair": text_pair, "label": "x"})

    assert read(paired(' " other'))[0].text_pair == ' " other'
    assert read(row())[0].text_pair is None
    with pytest.raises(DataError, match="text_pair"):
        read(paired(second))
    tally = Tally()
    assert read(paired(second), tally=tally, max_bad_rows=1) == []
    assert dict(tally.dropped) == {reason: 1}


@given(st.lists(st.sampled_from(["good", "bad", "blank"])), st.integers(0, 5))
def test_rows_in_are_rows_kept_and_dropped(kinds, allowed):
    made = {"good": row(), "bad": row(text=""), "blank": BadRow(3, "blank line")}
    tally = Tally()
    given_rows = [made[kind] for kind in kinds]
    if kinds.count("bad") > allowed:
        with pytest.raises(DataError, match="the text is empty"):
            read(*given_rows, tally=tally, max_bad_rows=allowed)
    else:
        kept = read(*given_rows, tally=tally, max_bad_rows=allowed)
        assert tally.read == len(kinds) == len(kept) + tally.dropped.total()
        assert len(kept) == kinds.count("good")


def test_label_names_by_name_and_by_number():
    rule = LabelRule(names=("negative", "positive"))
    assert [e.label for e in read(row(label="positive"), row(label=0), row(label="1.0"), rule=rule)] == [
        "positive",
        "negative",
        "positive",
    ]
    # A label that is a name is that name, though it looks like a number.
    assert read(row(label="1"), rule=LabelRule(names=("1", "0")))[0].label == "1"
    for wrong in ("positiv", "2", "-1", "01"):
        with pytest.raises(DataError, match="not one of 'negative', 'positive'"):
            read(row(label=wrong), rule=rule)
