"""The known tagged sets give the counts that their publishers state."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import datasets
import pytest

from bertkit.data.tagging.task import TaggedData, read_known
from bertkit.data.task_catalogue import KNOWN, known_set
from bertkit.errors import HostError

DATA = Path(__file__).resolve().parents[3] / "../shared/data"

# Sentences, tokens and entities of each split.
PUBLISHED = {
    "conll2003": {
        "train": (14_041, 203_621, {"LOC": 7_140, "MISC": 3_438, "ORG": 6_321, "PER": 6_600}),
        "validation": (3_250, 51_362, {"LOC": 1_837, "MISC": 922, "ORG": 1_341, "PER": 1_842}),
        "test": (3_453, 46_435, {"LOC": 1_668, "MISC": 702, "ORG": 1_661, "PER": 1_617}),
    },
    "weibo_ner": {"train": (1_350, 73_778, 1_895), "validation": (270, 14_509, 389), "test": (270, 14_842, 418)},
    "cluener2020": {"train": (10_748, None, None), "validation": (1_343, None, None)},
}


@cache
def load(name: str) -> TaggedData:
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the data set {name} beside the repository, in ../shared/data")
    return read_known(name, data_dir=DATA)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    data = load(name)
    data.prepare(validation_percentage=0)
    task = data.describe()
    for split, (sentences, tokens, entities) in PUBLISHED[name].items():
        assert task["counts"][split] == sentences
        assert tokens in (None, task["tokens"][split])
        found = task["entities"][split]
        assert entities in (None, found, sum(found.values()))
    for split, n in task["read"].items():
        assert n == task["counts"].get(split, 0) + sum(task["dropped"][split].values())
    assert set(task["changed"]) == set(task["read"])
    assert task["source"]["citation"]


def test_a_stray_i_is_an_entity_as_conlleval_has_it_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    known = known_set("msra_ner")
    # The training file alone takes seconds.
    monkeypatch.setitem(KNOWN, "msra_ner", replace(known, files={"train": known.files["test"]}))
    data = load("msra_ner")
    data.prepare(validation_percentage=0)
    task = data.describe()
    assert (task["counts"]["train"], task["tokens"]["train"]) == (4_631, 172_601)
    # The publishers count what begins with B-.
    assert sum(task["entities"]["train"].values()) == 2_877 + 1_331 + 1_973 + 11
    assert task["changed"]["train"] == {"tags read leniently": 11}


def test_what_the_sets_are_written_in() -> None:
    data = load("conll2003")
    assert data.schemes == dict.fromkeys(("train", "validation", "test"), "iob1")
    assert data.units == "words"


def test_the_digit_of_a_weibo_token_is_no_part_of_it() -> None:
    data = load("weibo_ner")
    longer = {token for split in data.splits.values() for s in split for token in s.tokens if len(token) > 1}
    assert longer <= {"\ufffd\ufffd"}
    assert data.units == "characters"


def test_secret_test_labels_are_never_made_up() -> None:
    data = load("cluener2020")
    assert "test" not in data.splits
    assert dict(data.tallies["test"].dropped) == {"unlabelled": 1_345}


def test_a_set_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]))
    rows = {"tokens": [["Ada", "in", "New", "York"], ["no"]], "ner_tags": [[3, 0, 1, 2], [0]]}
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": tags})
    split = datasets.Dataset.from_dict(rows, features=features)
    loaded = datasets.DatasetDict({"train": split, "validation": split, "test": split})
    asked: list[object] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: asked.append((args, kwargs)) or loaded)
    data = read_known("conll2003")
    data.prepare(validation_percentage=0)
    assert asked == [(("eriktks/conll2003", None), {"revision": "refs/convert/parquet"})]
    assert [s.tags for s in data.splits["test"]] == [["B-PER", "O", "B-LOC", "I-LOC"], ["O"]]
    assert data.splits["test"][1].where == "eriktks/conll2003 (test): row 2"
    assert data.describe()["read"] == {"train": 2, "validation": 2, "test": 2}


def test_without_files_the_remedy_is_named() -> None:
    with pytest.raises(HostError, match="not on the Hub") as caught:
        read_known("cluener2020")
    assert "--data-dir" in str(caught.value)
