"""Exact match and F1 of answers are those of their publishers, and thresholds are the best there are."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.errors import DataError
from bertkit.evaluation.spans import (
    best_threshold,
    cmrc_pieces,
    cmrc_scores,
    normalize_answer,
    score,
    score_intervals,
    squad_scores,
)

WORDS = [
    "The",
    "a",
    "an",
    "boat,",
    "Boat",
    "ROPE!",
    "théâtre",
    "“tide”",
    "1,871",
    "_",
    "it's",
    "",
    "  ",
    "\u3000",
    "海",
]
ANSWERS = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)


def line(name: str, predicted: str, gold: list[str], score: float | None = None, best: str | None = None) -> dict:
    spans = [] if score is None else [{"text": predicted if best is None else best, "score": score}]
    return {"id": name, "predicted": predicted, "gold": gold, "n_best": spans}


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(ANSWERS, st.lists(ANSWERS, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_squad_agrees_with_torchmetrics(rows: list[tuple[str, list[str]]]) -> None:
    functional = pytest.importorskip("torchmetrics.functional.text")
    rows = [(said, [one for one in gold if normalize_answer(one)] or ["boat"]) for said, gold in rows]
    predictions = [{"id": str(i), "prediction_text": said} for i, (said, _) in enumerate(rows)]
    golds = [
        {"id": str(i), "answers": {"text": gold, "answer_start": [0] * len(gold)}} for i, (_, gold) in enumerate(rows)
    ]
    expected = functional.squad(predictions, golds)
    found = score([line(str(i), said, gold) for i, (said, gold) in enumerate(rows)], scorer="squad")["metrics"]
    # torchmetrics keeps its sums in 32 bits.
    assert 100 * found["f1"] == pytest.approx(float(expected["f1"]), abs=1e-4)
    assert 100 * found["exact_match"] == pytest.approx(float(expected["exact_match"]), abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(said=ANSWERS, gold=ANSWERS)
def test_squad_is_the_definition_of_its_script(said: str, gold: str) -> None:
    one, other = normalize_answer(said).split(), normalize_answer(gold).split()
    same = sum(min(one.count(word), other.count(word)) for word in set(one))
    precision, recall = (same / max(1, len(words)) for words in (one, other))
    # Where neither says anything, version 1.1 has an F1 of 0, 2.0 (and torchmetrics) of 1.
    f1 = 2 * precision * recall / (precision + recall) if same else 0.0
    assert squad_scores(said, [gold], version="squad") == pytest.approx((float(one == other), f1), abs=1e-9)
    silent = float(one == other) if not one or not other else f1
    assert squad_scores(said, [gold], version="squad_v2")[1] == pytest.approx(silent, abs=1e-9)


@pytest.mark.parametrize(
    ("said", "golds", "expected"),
    [
        ("", [], (1, 1)),
        ("boat", [], (0, 0)),
        ("", ["boat"], (0, 0)),
        ("The", ["the"], (1, 1)),  # both say nothing once articles are gone
        ("boat", ["the", "boat rope"], (0, 2 / 3)),  # an answer of an article alone is left out
        ("the boat!", ["Boat"], (1, 1)),
    ],
)
def test_squad_2_counts_silence(said: str, golds: list[str], expected: tuple[float, float]) -> None:
    assert squad_scores(said, golds, version="squad_v2") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("said", "gold", "exact", "f1"),
    [
        ("白鹭岛", "白鹭岛。", 1, 1),  # signs are left out
        ("《白鹭岛》", "白鹭岛", 1, 1),
        ("在白鹭岛上", "白鹭岛", 0, 2 * 3 / 8),
        ("白X鹭岛", "白鹭岛", 0, 2 * 2 / 7),  # a run, not any common pieces
        ("Bert Model", "bert 2.0 model", 0, 2 * 1 / 5),  # words whole, of one case
        ("1871年", "1871", 0, 2 * 1 / 3),
        ("猫", "狗", 0, 0),
        ("。", "，", 1, 0),  # nothing on both sides: equal, without a run
        ("白鹭…", "白鹭", 0, 2 * 2 / 5),  # of an ellipsis, only the pair of signs is in the list
    ],
)
def test_cmrc_takes_chinese_characters_and_words(said: str, gold: str, exact: float, f1: float) -> None:
    assert cmrc_scores(said, [gold]) == pytest.approx((exact, f1))
    assert cmrc_scores(said, ["远处", gold])[1] == pytest.approx(f1)


@settings(max_examples=100, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(
            [
                "白",
                "鹭",
                "a1",
                "I'm",
                "don't",
                "U.S.",
                "end.",
                "3.5",
                "1,871",
                ",",
                "(",
                ")",
                "…",
                "。",
                "-",
                "%",
                "é",
                "‘",
            ]
        ),
        max_size=8,
    )
)
def test_words_among_chinese_are_those_of_the_treebank(text: list[str]) -> None:
    tokenizer = pytest.importorskip("nltk.tokenize.destructive").NLTKWordTokenizer()
    given_text = " ".join(text)
    expected: list[str] = []
    part = ""
    for character in given_text.lower().strip() + "白":
        if character in "。-":
            continue
        if "\u4e00" <= character <= "\u9fa5":
            expected += [{"``": '"', "''": '"'}.get(word, word) for word in tokenizer.tokenize(part)] if part else []
            expected.append(character)
            part = ""
        else:
            part += character
    assert cmrc_pieces(given_text + "白") == expected


SCORED = st.tuples(st.integers(-3, 3).map(float), st.booleans(), st.sampled_from(["boat", "rope"]))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(SCORED, min_size=1, max_size=8), by=st.sampled_from([0, 1]))
def test_the_threshold_is_the_best_of_all(rows: list[tuple[float, bool, str]], by: int) -> None:
    lines = [line(str(i), text, ["boat"] if has else [], value) for i, (value, has, text) in enumerate(rows)]

    def at(threshold: float) -> float:
        said = [one["n_best"][0]["text"] if one["n_best"][0]["score"] > threshold else "" for one in lines]
        pairs = [squad_scores(text, one["gold"], version="squad_v2") for text, one in zip(said, lines, strict=True)]
        return float(np.mean([pair[by] for pair in pairs]))

    threshold, best = best_threshold(lines, scorer="squad_v2", by=by)
    assert best == pytest.approx(max(at(value / 2) for value in range(-9, 10)))
    assert at(threshold) == pytest.approx(best)


def test_figures_of_squad_2_part_questions_with_and_without_an_answer() -> None:
    lines = [
        line("1", "boat", ["the boat"], 3.0),
        line("2", "", ["rope"], -1.0, best="rope"),
        line("3", "", [], -2.0, best="tide"),
        line("4", "star", [], 1.0),
    ]
    found = score(lines, scorer="squad_v2")
    assert found["questions"] == {"with_answer": 2, "without_answer": 2}
    metrics = found["metrics"]
    assert (metrics["exact_match"], metrics["has_answer_f1"], metrics["no_answer_f1"]) == (0.5, 0.5, 0.5)
    assert metrics["best_f1"] == 0.75
    for name, threshold in found["best_thresholds"].items():
        at = [
            {**one, "predicted": best["text"] if best["score"] > threshold else ""}
            for one in lines
            for best in one["n_best"]
        ]
        assert score(at, scorer="squad_v2")["metrics"][name.removeprefix("best_")] == metrics[name]
    assert found["best_thresholds"].keys() == {"best_f1", "best_exact_match"}
    answered = score([line("1", "boat", ["boat"])], scorer="squad")
    assert answered["metrics"].keys() == {"exact_match", "f1"}
    assert "best_thresholds" not in answered


def test_an_interval_holds_the_score_and_depends_on_nothing_but_the_predictions() -> None:
    lines = [line(str(i), "boat", ["boat" if i % 3 else "rope"]) for i in range(90)]
    found = score_intervals(lines, scorer="squad", count=400)
    low, high = found["f1"] or (math.nan, math.nan)
    assert 0.5 < low < score(lines, scorer="squad")["metrics"]["f1"] < high < 0.8
    assert found == score_intervals(lines, scorer="squad", count=400)


@pytest.mark.parametrize("lines", [[], [line("1", "a", ["a"])] * 2])
def test_nothing_and_repeated_questions_are_not_scored(lines: list[dict]) -> None:
    with pytest.raises(DataError):
        score(lines, scorer="squad")
