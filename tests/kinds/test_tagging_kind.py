"""Plain text is cut into tokens as the training data was, and windows are joined without a seam."""

from typing import Any

import numpy as np
import pytest

from bertkit.data.tagging.encoding import EncodedTags, Window
from bertkit.errors import DataError
from bertkit.kinds.tagging import Tagging

LABELS = ["O", "B-A", "I-A", "B-C", "I-C"]
SETTINGS = {"max_seq_length": 16, "stride": 4, "head": "softmax", "pooling": "first", "constrained": True}


def kind(units: str = "words", **settings: Any) -> Tagging:
    return Tagging({"labels": LABELS, "units": units}, SETTINGS | settings, where="here")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Ms. O'Hara-Lee's $3.50, e.g.", ["Ms", ".", "O'Hara-Lee", "'s", "$", "3.50", ",", "e.g", "."]),
        ("李白 went to 长安2次。", ["李", "白", "went", "to", "长", "安", "2", "次", "。"]),
        ("Ａｄａ 😀\u200bﷺ", ["Ａ", "ｄ", "ａ", "😀", "\u200b", "ﷺ"]),
        ("Jose\u0301 ran", ["Jose\u0301", "ran"]),
        ("שלום עולם!", ["שלום", "עולם", "!"]),
    ],
)
def test_words_with_their_places(text: str, tokens: list[str]) -> None:
    row = kind().as_row(text, 1)
    assert row["tokens"] == tokens
    assert [text[a:b] for a, b in zip(row["starts"], row["ends"], strict=True)] == tokens


def test_characters_where_the_training_data_has_them() -> None:
    row = kind("characters").as_row({"text": "李 b\n白", "id": "7"}, 1)
    assert (row["id"], row["tokens"], row["starts"]) == ("7", ["李", "b", "白"], [0, 2, 4])


@pytest.mark.parametrize("given", [{"tokens": []}, {"tokens": ["a", ""]}, {"tokens": "ab"}, {"tokens": [1]}, " ", None])
def test_what_has_no_tokens_is_refused(given: Any) -> None:
    with pytest.raises(DataError, match="input 3"):
        kind().as_row(given, 3)


def output(rows: list[list[float]], tags: list[int]) -> dict[str, Any]:
    """A window's outputs, with a place of padding at the end."""
    return {"probabilities": np.array([*rows, [0.2] * 5]), "tags": np.array([*tags, 0], dtype=np.float32)}


def joined(**settings: Any) -> dict[str, Any]:
    windows = [Window(0, 0, 2, 0, 2, False), Window(0, 1, 4, 2, 4, True)]
    encoded = EncodedTags([], [], [], [], windows, 0)
    outputs = [
        output([[0.9, 0.1, 0, 0, 0], [0.1, 0.9, 0, 0, 0]], [0, 1]),
        output([[0.1, 0, 0.3, 0, 0.6], [0.6, 0, 0.3, 0, 0.1]], [4, 0]),
    ]
    text = "to ada rome lee"
    row = {"id": "a", "tokens": text.split(), "text": text, "starts": [0, 3, 7, 12], "ends": [2, 6, 11, 15]}
    (line,) = kind(**settings).predictions(outputs, encoded, [row])
    return line


def test_an_entity_across_a_seam_keeps_to_the_scheme() -> None:
    line = joined()
    assert line["predicted"] == ["O", "B-A", "I-A", "O"]
    assert line["entities"] == [{"type": "A", "start": 3, "end": 11, "text": "ada rome", "score": pytest.approx(0.3)}]


def test_without_constraints_each_token_has_its_best_tag() -> None:
    assert joined(constrained=False)["predicted"] == ["O", "B-A", "I-C", "O"]
