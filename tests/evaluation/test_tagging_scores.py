"""Scores of tags are conlleval's and, for tags that keep to BIO, seqeval's strict ones."""

import random
from typing import Any

import conlleval
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2

from bertkit.data.tagging.schemes import read_tags, write_tags
from bertkit.errors import DataError
from bertkit.evaluation.tagging import score, score_intervals

tags = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-A-1", "I-A-1"]), min_size=1, max_size=10)
pairs = st.lists(
    tags.flatmap(
        lambda gold: st.tuples(
            st.just(gold), st.lists(tags.map(lambda t: t[0]), min_size=len(gold), max_size=len(gold))
        )
    ),
    min_size=1,
    max_size=5,
)


def valid(row: list[str]) -> list[str]:
    return write_tags(read_tags(row, "bio").entities, len(row))


def rows(given_: Any) -> list[dict[str, Any]]:
    return [{"id": str(i), "gold": gold, "predicted": said} for i, (gold, said) in enumerate(given_)]


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_every_number_is_conllevals_whatever_the_tags(given_: list[tuple[list[str], list[str]]]) -> None:
    lines = [f"w {a} {b}" for gold, said in given_ for a, b in [*zip(gold, said, strict=True), ("-", "-")]]
    expected = conlleval.evaluate([("" if line == "w - -" else line) for line in lines])["overall"]["chunks"]
    found = score(rows(given_))
    for ours, theirs, of in (("precision", "prec", "pred"), ("recall", "rec", "gold")):
        value = found["metrics"][ours]
        assert (value is None) == (expected["stats"][of] == 0)
        assert value is None or value == pytest.approx(expected["evals"][theirs], abs=1e-9)
    assert (found["metrics"]["f1"] or 0.0) == pytest.approx(expected["evals"]["f1"], abs=1e-9)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100, deadline=None)
@given(pairs)
def test_every_number_is_seqevals_strict_one(given_: list[tuple[list[str], list[str]]]) -> None:
    kept = [(valid(gold), valid(said)) for gold, said in given_]
    found = score(rows(kept))
    golds, saids = [gold for gold, _ in kept], [said for _, said in kept]
    assert found["metrics"]["accuracy"] == pytest.approx(accuracy_score(golds, saids), abs=1e-9)
    if not any(tag != "O" for row in golds + saids for tag in row):
        assert found["metrics"]["f1"] is None
        return
    report = classification_report(golds, saids, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    for name, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
        assert (found["metrics"][name] or 0.0) == pytest.approx(report["micro avg"][theirs], abs=1e-9)
        for kind, row in found["per_type"].items():
            assert (row[name] or 0.0) == pytest.approx(report[kind][theirs], abs=1e-9)
    assert found["metrics"]["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"], abs=1e-9)


def test_what_kind_of_mistake() -> None:
    given_ = [
        (["B-A", "I-A", "O"], ["B-A", "I-A", "O"]),
        (["B-A", "I-A", "O"], ["B-C", "I-C", "O"]),
        (["B-A", "I-A", "O"], ["B-A", "O", "O"]),
        (["B-A", "I-A", "O"], ["O", "B-C", "O"]),
        (["B-A", "I-A", "O"], ["O", "O", "B-A"]),
    ]
    found = score(rows(given_))
    assert found["errors"] == {"type": 1, "boundary": 1, "type_and_boundary": 1, "missed": 1, "spurious": 1}
    assert found["metrics"]["f1"] == pytest.approx(0.2)
    assert found["per_type"]["A"] == {"precision": 1 / 3, "recall": 0.2, "f1": 0.25, "support": 5, "predicted": 3}


def test_intervals_hold_the_score_and_are_the_same_every_time() -> None:
    rng = random.Random(0)
    made = []
    for _ in range(120):
        gold = valid(rng.choices(["O", "B-A", "I-A", "B-C"], k=8))
        made.append((gold, gold if rng.random() < 0.7 else valid(rng.choices(["O", "B-A"], k=8))))
    metrics, intervals = score(rows(made))["metrics"], score_intervals(rows(made), count=300)
    assert intervals == score_intervals(rows(made), count=300)
    for name, pair in intervals.items():
        assert pair is not None
        assert 0 <= pair[0] < metrics[name] < pair[1] <= 1


@pytest.mark.parametrize(
    ("gold", "said", "expected"),
    [
        (["O", "O"], ["O", "O"], {"f1", "macro_f1", "precision", "recall"}),
        (["B-A", "O"], ["O", "O"], {"precision"}),
        (["O", "O"], ["B-A", "O"], {"recall"}),
    ],
)
def test_a_metric_without_a_value_says_which_side_has_no_entities(
    gold: list[str], said: list[str], expected: set[str]
) -> None:
    found = score(rows([(gold, said)]))
    reasons = {"precision": "no entity is predicted", "recall": "there is no gold entity"}
    none = "there are no entities, gold or predicted"
    assert found["undefined"] == {name: reasons.get(name, none) for name in expected}
    assert {name for name, value in found["metrics"].items() if value is None} == expected


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ([], "no predictions"),
        ([{"id": "a", "gold": ["O"], "predicted": ["O"]}] * 2, "repeat an id"),
        ([{"id": "a", "gold": ["O"], "predicted": ["O", "O"]}], "1 gold tags and 2"),
    ],
)
def test_what_cannot_be_scored(given_: list[Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        score(given_)
