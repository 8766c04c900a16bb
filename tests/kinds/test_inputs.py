"""What a trained model is handed: checked before any of it is computed, and never taken for gold."""

from typing import Any

import pytest

from bertkit.errors import DataError
from bertkit.kinds import kind_of
from bertkit.kinds.base import Kind

TASKS: dict[str, dict[str, Any]] = {
    "classification": {"labels": ["x", "y"], "text_columns": ["text"]},
    "pairs": {"labels": ["x", "y"], "text_columns": ["text", "text_pair"]},
    "tagging": {"labels": ["O", "B-X", "I-X"], "units": "words"},
    "spans": {"scorer": "squad"},
}


def kind(name: str) -> Kind:
    task = TASKS[name]
    return kind_of({"kind": "classification" if name == "pairs" else name, **task}, {}, where="here")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("classification", "a\ud83d"),
        ("classification", {"text": "\ude00"}),
        ("pairs", ["a", "b\ud83d"]),
        ("tagging", "a\ud83d b"),
        ("tagging", {"tokens": ["a", "\ud83d"]}),
        ("spans", ["why\ud83d?", "for this"]),
        ("spans", {"question": "why?", "context": ["for this", "\ud83d"]}),
    ],
)
def test_half_a_character_is_refused_with_the_number_of_the_input(name: str, given: Any) -> None:
    with pytest.raises(DataError, match=r"input 3: .* has half a character \(lone surrogate"):
        kind(name).as_row(given, 3)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("classification", {"text": "a", "label": 1, "id": 7}),
        ("pairs", {"text": "a", "text_pair": "b", "label": "z", "id": 7}),
        ("tagging", {"text": "a b", "tags": ["O"], "id": 7}),
        ("tagging", {"tokens": ["a", "b"], "tags": "O", "id": 7}),
        ("spans", {"question": "why?", "context": "for this", "answers": {"text": [], "answer_start": []}, "id": 7}),
        ("spans", {"question": "why?", "context": ["for this", "or that"], "answers": None, "id": 7}),
    ],
)
def test_of_labelled_rows_the_texts_and_the_id_are_read(name: str, given: dict[str, Any]) -> None:
    row = kind(name).as_row(given, 3)
    assert row["id"] == 7
    assert not {"label", "tags", "answers"} & set(row)
    assert all(row[column] == given.get(column, "a b") for column in kind(name).columns)


def test_rows_of_which_nothing_is_read_are_told_with_the_scores() -> None:
    told = kind("classification").notes({"truncated": 0, "texts_without_pieces": 2}, 9)
    assert told == ["2 of 9 rows have a text that the tokenizer makes nothing of."]
    assert kind("classification").notes({"truncated": 0, "texts_without_pieces": 0}, 9) == []
