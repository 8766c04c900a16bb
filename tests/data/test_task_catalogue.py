"""Known sets give the rows and labels their publishers state, from local files and from the Hub's library."""

from pathlib import Path

import datasets
import pytest

from bertkit.data import bbc
from bertkit.data.task_catalogue import KNOWN, known_set, local_files
from bertkit.data.tasks import read_known
from bertkit.errors import ConfigError, DataError, HostError

DATA = Path(__file__).resolve().parents[2] / "../shared/data"

PUBLISHED = {
    "sst2": {
        "train": {"negative": 29_780, "positive": 37_569},
        "validation": {"negative": 428, "positive": 444},
    },
    "cola": {
        "train": {"unacceptable": 2_528, "acceptable": 6_023},
        "validation": {"unacceptable": 322, "acceptable": 721},
    },
    "trec6": {
        "train": {"ABBR": 86, "DESC": 1_162, "ENTY": 1_250, "HUM": 1_223, "LOC": 835, "NUM": 896},
        "test": {"ABBR": 9, "DESC": 138, "ENTY": 94, "HUM": 65, "LOC": 81, "NUM": 113},
    },
    "mrpc": {
        "train": {"not_equivalent": 1_194, "equivalent": 2_474},
        "validation": {"not_equivalent": 129, "equivalent": 279},
        "test": {"not_equivalent": 578, "equivalent": 1_147},
    },
    "chnsenticorp": {
        "train": {"negative": 4_801, "positive": 4_799},
        "validation": {"negative": 607, "positive": 593},
        "test": {"negative": 592, "positive": 608},
    },
}


def need(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the data set {name} beside the repository, in ../shared/data")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name):
    need(name)
    data = read_known(name, data_dir=DATA)
    data.prepare(validation_percentage=0)
    task = data.describe()
    assert task["label_counts"] == PUBLISHED[name]
    assert task["labels"] == list(PUBLISHED[name]["train"])
    for split, n in task["read"].items():
        assert n == task["counts"].get(split, 0) + sum(task["dropped"][split].values())


@pytest.mark.parametrize(("name", "rows"), [("sst2", 1_821), ("cola", 1_063)])
def test_secret_test_labels_are_never_made_up(name, rows):
    need(name)
    data = read_known(name, data_dir=DATA)
    assert "test" not in data.splits
    assert dict(data.tallies["test"].dropped) == {"unlabelled": rows}


def test_latin_1_is_read_as_such():
    need("trec6")
    trec = read_known("trec6", data_dir=DATA).splits["train"]
    assert any("ð" in e.text for e in trec)
    assert not any("\ufffd" in e.text for e in trec)


def test_sentence_polarity_is_cut_three_ways_without_loss():
    need("sentence_polarity")
    data = read_known("sentence_polarity", data_dir=DATA)
    data.prepare(validation_percentage=10)
    task = data.describe()
    assert sum(task["counts"].values()) == sum(task["read"].values()) == 10_662
    assert 0.08 < task["counts"]["test"] / 10_662 < 0.12
    assert all(n == 0 for name, n in task["overlap"].items() if "_in_" in name)
    total = {label: sum(counts[label] for counts in task["label_counts"].values()) for label in task["labels"]}
    assert total == {"negative": 5_331, "positive": 5_331}
    assert len({e.id for split in data.splits.values() for e in split}) == 10_662


def test_bbc_topics_come_from_its_package(monkeypatch):
    made = [
        bbc.Article(f"{topic}/{i:03}", topic, f"Title {i} of {topic}", (f"Body {i}.", "More."))
        for topic in bbc.TOPICS
        for i in range(40)
    ]
    monkeypatch.setattr(bbc, "articles", lambda: iter(made))
    data = read_known("bbc_topic")
    data.prepare(validation_percentage=10)
    assert data.labels == list(bbc.TOPICS)
    assert sum(map(len, data.splits.values())) == 200
    for split, examples in data.splits.items():
        assert all(bbc.split_of(e.text) == split for e in examples)
    first = next(e for split in data.splits.values() for e in split if e.id == "business/000")
    assert (first.text, first.label, first.where) == (
        "Title 0 of business\nBody 0.\nMore.",
        "business",
        "business/000.txt",
    )


def test_unknown_sets_and_missing_folders_say_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'chnsenticorp'"):
        known_set("chnsenticorpus")
    (tmp_path / "cola").mkdir()
    with pytest.raises(DataError, match=r"no folder 'sst2'; it has cola"):
        local_files(known_set("sst2"), tmp_path)
    with pytest.raises(DataError, match=f"--data-dir {tmp_path}"):
        local_files(known_set("sst2"), tmp_path / "sst2")
    with pytest.raises(DataError, match="no such file") as caught:
        local_files(known_set("cola"), tmp_path)
    assert caught.value.where == str(tmp_path / "cola" / "train.tsv")


def hub_set(names, **splits):
    label = datasets.ClassLabel(names=names)
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {"sentence": [text for text, _ in rows], "label": [label for _, label in rows]},
                features=datasets.Features({"sentence": datasets.Value("string"), "label": label}),
            )
            for split, rows in splits.items()
        }
    )


def test_a_set_of_pairs_from_the_hub(monkeypatch):
    label = datasets.ClassLabel(names=["not_equivalent", "equivalent"])
    features = {"sentence1": datasets.Value("string"), "sentence2": datasets.Value("string"), "label": label}
    rows = {"sentence1": ["a b", "c"], "sentence2": ["b a", "d"], "label": [1, 0]}
    split = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    loaded = datasets.DatasetDict({"train": split, "validation": split, "test": split})
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: loaded)
    data = read_known("mrpc")
    assert [(e.text, e.text_pair, e.label) for e in data.splits["test"]] == [
        ("a b", "b a", "equivalent"),
        ("c", "d", "not_equivalent"),
    ]
    data.prepare(validation_percentage=10)
    assert data.describe()["text_columns"] == ["text", "text_pair"]


def test_quotes_and_a_mark_at_the_start_of_a_published_pair_file_mean_nothing(tmp_path):
    head = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    lines = ['1\t1\t2\t" He left .\tHe said " so .\r\n', '0\t3\t4\tShe "came" .\t"\r\n', "1\t5\t6\tx\ty"]
    (tmp_path / "mrpc").mkdir()
    for name in ("train.tsv", "dev.tsv", "msr_paraphrase_test.txt"):
        (tmp_path / "mrpc" / name).write_bytes(("\ufeff" + head + "".join(lines)).encode())
    for examples in read_known("mrpc", data_dir=tmp_path).splits.values():
        assert [(e.text, e.text_pair, e.label) for e in examples] == [
            ('" He left .', 'He said " so .', "equivalent"),
            ('She "came" .', '"', "not_equivalent"),
            ("x", "y", "equivalent"),
        ]


def test_a_set_from_the_hub(monkeypatch):
    asked = []

    def load_dataset(*args, **kwargs):
        asked.append((args, kwargs))
        return hub_set(
            ["negative", "positive"],
            train=[("bad film", 0), ("good film", 1), ("fine film", 1)],
            validation=[("poor", 0), ("great", 1)],
            test=[("secret", -1)],
        )

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    data = read_known("sst2")
    data.prepare(validation_percentage=10)
    assert asked == [(("nyu-mll/glue", "sst2"), {"revision": None})]
    assert [(e.text, e.label) for e in data.splits["train"]] == [
        ("bad film", "negative"),
        ("good film", "positive"),
        ("fine film", "positive"),
    ]
    assert data.splits["train"][1].where == "nyu-mll/glue (train): row 2"
    assert data.describe()["dropped"]["test"] == {"unlabelled": 1}


def test_label_names_of_the_hub_that_are_not_ours_are_refused(monkeypatch):
    changed = hub_set(["good", "bad"], train=[("x", 0)], validation=[("y", 1)], test=[])
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: changed)
    with pytest.raises(DataError, match="'good' is not one of 'negative', 'positive'"):
        read_known("sst2")


def test_without_the_network_the_local_copy_is_named(monkeypatch):
    def load_dataset(*args, **kwargs):
        raise ConnectionError("Couldn't reach 'nyu-mll/glue' on the Hub\nRetrying")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(HostError, match=r"--data-dir DIR, where DIR/sst2 holds train\.tsv, dev\.tsv, test\.tsv"):
        read_known("sst2")


def test_every_set_says_what_it_is_under_which_terms():
    for known in KNOWN.values():
        assert known.title
        assert known.licence
        assert len(set(known.labels)) == len(known.labels)
        if known.kind == "classification":
            assert known.citation
            assert (len(known.labels) >= 2) == (known.problem_type != "regression")


def test_scores_of_stsb_are_numbers_and_its_test_file_has_ragged_rows():
    need("stsb")
    data = read_known("stsb", data_dir=DATA)
    data.prepare(validation_percentage=0)
    task = data.describe()
    assert task["counts"] == task["read"] == {"train": 5_749, "validation": 1_500, "test": 1_379}
    assert (task["problem_type"], task["primary"], task["labels"]) == ("regression", "spearmanr", [])
    for split, mean in (("train", 2.701), ("validation", 2.364), ("test", 2.608)):
        found = task["label_range"][split]
        assert (found["min"], found["max"]) == (0.0, 5.0)
        assert found["mean"] == pytest.approx(mean, abs=5e-4)
    assert data.splits["test"][0].text == "A girl is styling her hair."


@pytest.mark.parametrize(
    ("name", "counts", "labels"),
    [
        ("qnli", 5_463, {"entailment": 2_702, "not_entailment": 2_761}),
        ("lcqmc", 8_802 + 12_500, {"different": 4_400 + 6_250, "same": 4_402 + 6_250}),
        ("atec", 39_346, {"different": 30_797, "same": 8_549}),
    ],
)
def test_sets_that_are_cut_here_lose_nothing(name, counts, labels):
    need(name)
    data = read_known(name, data_dir=DATA)
    data.prepare(validation_percentage=10)
    task = data.describe()
    assert list(task["counts"]) == ["train", "validation", "test"]
    assert sum(task["counts"].values()) == sum(task["read"].values()) == counts
    assert {label: sum(c[label] for c in task["label_counts"].values()) for label in task["labels"]} == labels
    first = min((e for split in data.splits.values() for e in split), key=lambda e: int(e.id.split(":")[1]))
    assert not first.text.startswith("\ufeff")


def question_file(*rows):
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def test_a_copy_without_its_training_file_is_used_and_says_so(tmp_path):
    folder = tmp_path / "lcqmc"
    folder.mkdir()
    rows = [(f"问题{i}", f"问“{i}", str(i % 2)) for i in range(40)]
    for name in ("dev.txt", "test.txt"):
        (folder / name).write_bytes(question_file(*rows))
    part = read_known("lcqmc", data_dir=tmp_path)
    assert {split: len(rows) for split, rows in part.splits.items()} == {"train": 40, "test": 40}
    assert "no train.txt" in part.describe()["source"]["note"]
    (folder / "train.txt").write_bytes(question_file(*rows, ('"a', "b", "1")))
    whole = read_known("lcqmc", data_dir=tmp_path)
    assert {split: len(rows) for split, rows in whole.splits.items()} == {"train": 41, "validation": 40, "test": 40}
    assert "note" not in whole.source
    assert whole.splits["train"][-1].text == '"a'


def test_a_set_that_is_nowhere_else_names_its_files():
    with pytest.raises(HostError, match="not on the Hub") as caught:
        read_known("atec")
    assert "DIR/atec holds atec_nlp_sim_train.csv" in str(caught.value)


def test_numbers_from_the_hub(monkeypatch):
    features = {name: datasets.Value("string") for name in ("sentence1", "sentence2")}
    features["label"] = datasets.Value("float32")

    def split(*rows):
        columns = dict(zip(features, map(list, zip(*rows, strict=True)), strict=True))
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))

    loaded = datasets.DatasetDict(
        train=split(("a", "b", 2.5), ("c", "d", 0.0)),
        validation=split(("e", "f", 5.0), ("g", "h", 1.0)),
        test=split(("i", "j", -1.0)),
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: loaded)
    data = read_known("stsb")
    data.prepare(validation_percentage=0)
    assert [e.label for e in data.splits["train"]] == [2.5, 0.0]
    assert data.describe()["dropped"]["test"] == {"unlabelled": 1}
