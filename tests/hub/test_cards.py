"""Cards say what is known, and nothing that a string from data would have them say."""

import ast
import re
from typing import Any

import pytest
from huggingface_hub import ModelCard

from bertkit.data.task_catalogue import KNOWN
from bertkit.models.interchange import snippet
from bertkit.reporting import card_examples, vector_card
from bertkit.reporting.model_card import CardFacts, render

HOSTILE = '"it\'s": <b>**x**</b>\n---\n## Use\n`rm` | [a](javascript:b) &amp; \u202e'
STATE = {"num_parameters": 9, "global_step": 1, "epoch": 1.0, "train_seconds": 1.0, "device": "cpu"}
STATE |= {"cpu_instructions": "AVX2", "num_processes": 2, "mixed_precision": "no"}
SETTINGS = {"max_seq_length": 64, "window_pooling": None, "max_windows": 8, "tuned": {}}
SETS = {"config": {"max_seq_length": 64}, "versions": {"bertkit": "1"}}


def predictor(**changed: Any) -> dict[str, Any]:
    known = {"kind": "classification", "task": "mine", "name": "CNN", "backbone": "textcnn", "labels": ["a", "b"]}
    return {**known, "text_columns": ["text"], "settings": SETTINGS, "origin": {}, "examples": 1200, **changed}


def scores(**changed: Any) -> dict[str, Any]:
    found = {
        "task": "mine",
        "kind": "classification",
        "split": "test",
        "n": 3,
        "metrics": {"accuracy": 0.5, "f1": None},
    }
    return {**found, "intervals": {"accuracy": [0.25, 0.75]}, **changed}


def card(**changed: Any) -> tuple[str, Any]:
    given: dict[str, Any] = {"predictor": predictor(), "metrics": [scores()], "manifest": SETS, **changed}
    text = render(CardFacts(repo="me/it", state=STATE, network={}, **given))
    return text, ModelCard(text).data


def test_a_card_names_only_what_is_there() -> None:
    text, data = card()
    assert data.tags == ["bertkit", "textcnn"]
    assert (data.datasets, data.license, data.language, data.base_model) == (None, None, None, None)
    assert "bertkit alone reads this folder" in text
    assert "| training examples | 1,200 |" in text
    assert "| hardware | CPU (AVX2), 2 processes |" in text
    assert "| mine | test | 3 | accuracy | 50.0\u00a0% | 25.0 to 75.0 |" in text.replace("\u202f", "\u00a0")


def test_hostile_strings_are_shown_and_do_nothing() -> None:
    text, data = card(
        predictor=predictor(task=HOSTILE, name=HOSTILE, labels=[HOSTILE, "b"]),
        metrics=[scores(task=HOSTILE, notes=[HOSTILE])],
        license=HOSTILE,
        language=HOSTILE,
    )
    assert (data.license, data.language) == (HOSTILE, HOSTILE)
    (result,) = data.eval_results
    assert (result.dataset_name, result.metric_value, result.dataset_split) == (HOSTILE, 0.5, "test")
    body = text.partition("\n---\n\n")[2]
    assert re.findall("^#+ .*$", body, re.MULTILINE) == ["# it", *(f"## {name}" for name in SECTIONS)]
    assert not any(found in body for found in ("<b>", "**x**", "](javascript", "\u202e", "`rm`"))


SECTIONS = ("Use", "Training", "Scores", "Limits", "Licence and sources")


def test_examples_of_ones_own_are_not_taken_for_a_known_set() -> None:
    text, data = card(predictor=predictor(task="sst2"), metrics=[scores(task="sst2")])
    assert data.datasets is None
    assert data.eval_results[0].dataset_type == "sst2"
    assert "Stanford" not in text

    text, data = card(predictor=predictor(task="films", origin={"dataset": "sst2"}), metrics=[scores(task="films")])
    assert data.datasets == ["nyu-mll/glue"]
    (result,) = data.eval_results
    assert (result.dataset_name, result.dataset_type, result.dataset_config) == ("films", "nyu-mll/glue", "sst2")
    assert "Socher" in text
    assert "?." not in text

    cut = next(one.name for one in KNOWN.values() if one.test_percentage and one.hub)
    full, part = {"dataset": "chnsenticorp"}, {"dataset": "chnsenticorp", "note": "Trained on a part."}
    origins = (full, part, {"dataset": cut})
    splits = [card(predictor=predictor(origin=one))[1].eval_results[0].dataset_split for one in origins]
    assert splits == ["test", None, None]

    origin = {"hub": {"path": "ada/films", "revision": "1a2b"}}
    text, data = card(predictor=predictor(origin=origin))
    assert (data.datasets, data.eval_results[0].dataset_revision) == (["ada/films"], "1a2b")
    assert "ada/films of the Hugging Face Hub" in text


def test_the_model_it_began_with_is_named_where_the_hub_has_it() -> None:
    from bertkit.stages.publish import _base

    cache = "/home/ada/.cache/huggingface/hub/models--google-bert--bert-base-uncased/snapshots/86b5e0934494"
    assert _base({"inputs": {"start": cache}, "config": {"init": "pretrained"}}) == "google-bert/bert-base-uncased"
    assert _base({"inputs": {"start": cache}, "config": {"init": "random"}}) is None
    assert _base({"inputs": {"start": "artifacts/pretrain/0123456789"}, "config": {}}) is None
    assert _base({"inputs": {}, "config": {}}) is None
    text, data = card(base="google-bert/bert-base-uncased")
    assert data.base_model == "google-bert/bert-base-uncased"
    assert "[google-bert/bert-base-uncased](https://huggingface.co/google-bert/bert-base-uncased)" in text


def test_the_epochs_that_were_not_what_ended_it_are_left_out() -> None:
    config = {"num_train_epochs": 3.0, "max_steps": 10, "warmup_steps": 0.1}
    text, _ = card(manifest={**SETS, "config": config})
    assert "num_train_epochs" not in text
    assert re.search(r"\| warmup_steps \| 10.*% of all \|", text)


KINDS = [
    (None, "pretraining"),
    (predictor(), "classification"),
    (predictor(text_columns=["text", "text_pair"]), "classification"),
    (predictor(problem_type="regression", labels=None), "classification"),
    (predictor(problem_type="multi_label_classification"), "classification"),
    (predictor(kind="tagging"), "tagging"),
    (predictor(kind="spans"), "spans"),
]


@pytest.mark.parametrize("chinese", [False, True])
@pytest.mark.parametrize(("given", "kind"), KINDS)
def test_every_kind_has_code_in_its_language(given: Any, kind: str, chinese: bool) -> None:
    texts = card_examples.texts(given, chinese=chinese)
    lines = snippet(kind, "me/it", texts, problem_type=(given or {}).get("problem_type"))
    network = {"num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 8}
    facts = CardFacts("me/it", SETS, STATE, network, given, snippet=lines, chinese=chinese)
    blocks = re.findall(r"```python\n(.*?)```", text := render(facts), re.DOTALL)
    assert [bool(ast.parse(block)) for block in blocks] == [True, True]
    assert all(any("\u3400" <= c <= "\u9fff" for c in one) == chinese for one in texts)
    assert all(one in block for one in texts for block in blocks)
    assert "No scores were published" in text


def test_a_bert_that_transformers_cannot_read_says_why() -> None:
    windows = predictor(backbone="bert", settings={**SETTINGS, "window_pooling": "mean"})
    assert "no class that reads windows pooled to one vector" in card(predictor=windows)[0]
    pieces = predictor(backbone="bert", kind="tagging", settings={**SETTINGS, "pooling": "mean"})
    assert "no class that reads means of a word's pieces" in card(predictor=pieces, metrics=[])[0]


def test_a_vocabulary_tells_its_language() -> None:
    chinese = {character: i for i, character in enumerate("的一是在不了有和")}
    assert card_examples.is_chinese(chinese | {"the": 9})
    assert not card_examples.is_chinese({"the": 0, "of": 1, "to": 2, "in": 3, "中": 4})
    assert not card_examples.is_chinese({})


@pytest.mark.parametrize(
    ("words", "looked_up"),
    [
        (["the", "of", "bread"], '"bread"'),
        (["，", "的", "我们"], '"我们"'),
        (["a", "of"], '"a"'),
        (['";import os#', "```"], "words[0]"),
        (["", "1"], "words[0]"),
    ],
)
def test_the_card_of_vectors_looks_up_a_word_of_some_meaning(words: list[str], looked_up: str) -> None:
    text = vector_card.render("me/it", words=words, width=2, manifest={}, stats={}, license=HOSTILE)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert all(ast.parse(block) for block in blocks)
    assert f"words.index({looked_up})" in blocks[-1]
    assert (f"nearest({looked_up})" in blocks[0]) == (looked_up != "words[0]")
    assert ModelCard(text).data.license == HOSTILE
