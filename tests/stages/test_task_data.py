"""The stage task_data: a user's files in, checked splits and an account of every row out."""

import json
from pathlib import Path

import pytest

from bertkit import storage
from bertkit.config import build, fingerprint, merge, parse_overrides, read_yaml
from bertkit.errors import ConfigError, DataError
from bertkit.stages.task_data import TaskDataConfig, task_data

ASSETS = Path(__file__).resolve().parents[1] / "assets"
PRESETS = Path(__file__).resolve().parents[2] / "recipes" / "presets" / "task_data"

EN = [
    ("The soup was warm and good.", "positive"),
    ("Nobody came to take our order.", "negative"),
    ("我很喜欢这家店。", "positive"),
    ("味道不好，服务也差。", "negative"),
]


def config(*overrides):
    return build(TaskDataConfig, parse_overrides(overrides), name="task_data")


def identity(*overrides):
    chosen = config(*overrides)
    return fingerprint(task_data.identity(chosen, {}, storage.Digests()))


def run(out, *overrides):
    chosen = config(*overrides)
    return task_data.run(chosen, {}, out, task_data.identity(chosen, {}, storage.Digests()))


def write(path, rows, head=("text", "label")):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{a},{b}\n" for a, b in [head, *rows]), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path):
    repeated = [(f"{text} {i}", label) for i in range(20) for text, label in EN]
    return {
        "train": write(tmp_path / "train.csv", [*repeated, (f"{EN[0][0]} 0", "negative")]),
        "test": write(tmp_path / "test.csv", [*EN, repeated[0]]),
    }


def given(files):
    return ["source.format=csv", *(f"source.{split}={path}" for split, path in files.items())]


def test_splits_and_account(files, tmp_path):
    made = run(tmp_path / "out", *given(files), "max_train_samples=50")
    task = made.task
    assert (task["name"], task["kind"], task["labels"], task["primary"]) == (
        "train",
        "classification",
        ["negative", "positive"],
        "accuracy",
    )
    assert task["counts"]["train"] == 50
    assert task["counts"]["test"] == 5
    assert task["read"]["train"] + task["read"]["validation"] == 81
    assert set(task["dropped"]["train"]) == {"max_train_samples"}
    for split, n in task["read"].items():
        assert n == task["counts"][split] + sum(task["dropped"][split].values())
    for split, counts in task["label_counts"].items():
        assert sum(counts.values()) == task["counts"][split] == len(made.rows(split))
    first = made.rows("test")[0]
    assert first == {"id": "test:2", "text": EN[0][0], "label": "positive", "where": "test.csv:2"}
    assert str(tmp_path) not in (made.path / "task.json").read_text(encoding="utf-8")


def test_the_same_files_give_the_same_bytes_wherever_they_lie(files, tmp_path):
    moved = {split: tmp_path / "elsewhere" / path.name for split, path in files.items()}
    moved["train"].parent.mkdir()
    for split, path in files.items():
        moved[split].write_bytes(path.read_bytes())
    assert identity(*given(files)) == identity(*given(moved))
    a, b = run(tmp_path / "a", *given(files)), run(tmp_path / "b", *given(moved))
    for name in ("train.parquet", "validation.parquet", "test.parquet", "task.json"):
        assert (a.path / name).read_bytes() == (b.path / name).read_bytes()


def test_content_and_the_part_a_file_plays_decide_the_fingerprint(files, tmp_path):
    before = identity(*given(files))
    swapped = {"train": files["train"], "validation": files["test"]}
    assert identity(*given(swapped)) != before
    same_names = {split: tmp_path / split / "data.csv" for split in ("train", "validation", "test")}
    for split, path in same_names.items():
        write(path, [(f"{split} {text}", label) for text, label in EN])
    turned = {**same_names, "validation": same_names["test"], "test": same_names["validation"]}
    assert identity(*given(same_names)) != identity(*given(turned))
    files["test"].write_text(files["test"].read_text(encoding="utf-8") + "one more,positive\n", encoding="utf-8")
    assert identity(*given(files)) != before


def test_single_texts_keep_the_identity_they_had_before_there_were_pairs(files):
    assert config(*given(files)).source.columns.identity() == {"text": "text", "label": "label"}
    assert identity(*given(files)) != identity(*given(files), "source.columns.text_pair=label")


def test_overlap_is_reported_not_removed(files, tmp_path):
    task = run(tmp_path / "out", *given(files), "validation_percentage=0").task
    assert task["overlap"] == {"test_in_train": 1, "train_repeats": 1, "train_contradictions": 2}
    assert task["counts"] == {"train": 81, "test": 5}


def test_a_label_only_the_test_file_has(files, tmp_path):
    write(files["test"], [*EN, ("It was fine.", "neutral")])
    with pytest.raises(DataError, match="'neutral' of test does not occur in train, which has 'negative', 'positive'"):
        run(tmp_path / "out", *given(files))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_bad_rows_up_to_the_limit_are_counted(files, tmp_path):
    write(files["test"], [*EN, ("", "positive"), ("no label", "")])
    with pytest.raises(DataError, match="the text is empty") as caught:
        run(tmp_path / "out", *given(files))
    assert caught.value.where == f"{files['test']}:6"
    with pytest.raises(DataError, match="max_bad_rows=1 allows no more"):
        run(tmp_path / "out", *given(files), "max_bad_rows=1")
    task = run(tmp_path / "out", *given(files), "max_bad_rows=2").task
    assert task["dropped"]["test"] == {"empty text": 1, "no label": 1}
    assert task["counts"]["test"] == 4


@pytest.mark.parametrize("format", ["jsonl", "parquet", "tsv"])
def test_other_formats_give_the_same_task(format, files, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"review": text, "stars": i % 2 + 1} for i, (text, _) in enumerate(EN)]
    path = tmp_path / f"train.{format}"
    match format:
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        case "tsv":
            lines = ["review\tstars", *(f"{row['review']}\t{row['stars']}" for row in rows)]
            path.write_text("\n".join(lines), encoding="utf-8")
    columns = ["source.columns.text=review", "source.columns.label=stars"]
    made = run(tmp_path / "out", f"source.format={format}", f"source.train={path}", *columns, "validation_percentage=0")
    assert [(row["text"], row["label"]) for row in made.rows("train")] == [
        (text, str(i % 2 + 1)) for i, (text, _) in enumerate(EN)
    ]
    assert made.task["labels"] == ["1", "2"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["source.dataset=sst3"], "did you mean 'sst2'"),
        (["source.format=csv"], "source.train: is required"),
        (["source.format=xlsx"], "must have dataset: NAME, or format: csv, tsv, jsonl, parquet, fasttext, conll"),
        (
            ["source.format=csv", "source.train=a.csv", "source.hedaer=false"],
            "source.hedaer: no such key, did you mean",
        ),
        (["source.format=jsonl", "source.train=a", "source.columns.text=1"], "go by name, not by number"),
        (["source.format=csv", "source.train=a", "source.label_names=[a, a]"], "has a name twice"),
        (["source.dataset=sst2", "validation_percentage=80"], "validation_percentage: Input should be less than"),
    ],
)
def test_config_mistakes_are_named(overrides, says):
    with pytest.raises(ConfigError, match=says):
        config(*overrides)


def test_missing_files_are_found_before_anything_runs(tmp_path):
    with pytest.raises(DataError, match="no such file") as caught:
        identity("source.format=csv", f"source.train={tmp_path / 'nothing.csv'}")
    assert caught.value.where == str(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("file", "labels"),
    [("topics_en.csv", ["food", "sport", "travel"]), ("reviews_zh.jsonl", ["中性", "正面", "负面"])],
)
def test_the_small_sets_of_the_tests(file, labels, tmp_path):
    task = run(
        tmp_path / "out", f"source.format={file.partition('.')[2]}", f"source.train={ASSETS / file}", "max_bad_rows=0"
    ).task
    assert task["labels"] == labels
    assert sum(task["counts"].values()) == 60
    assert task["overlap"]["train_repeats"] == 0


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_say_what_they_are_and_build(preset):
    text = preset.read_text(encoding="utf-8")
    assert text.startswith("# ")
    own = preset.stem in ("csv", "tsv", "jsonl", "conll", "tagged_jsonl")
    layers = [read_yaml(preset), parse_overrides(["source.train=train.txt"] if own else [])]
    built = build(TaskDataConfig, merge(*layers))
    assert (built.source.format if own else built.source.dataset) == preset.stem


def test_pairs_of_texts(tmp_path):
    rows = [(f"a{i},b{i % 7}", "yes" if i % 2 else "no") for i in range(80)]
    train = write(tmp_path / "pairs.csv", rows, head=("first,second", "label"))
    columns = ["source.columns.text=first", "source.columns.text_pair=second"]
    made = run(tmp_path / "out", "source.format=csv", f"source.train={train}", *columns)
    assert made.task["text_columns"] == ["text", "text_pair"]
    assert {(row["text"], row["text_pair"]) for row in made.rows("train")} <= {tuple(a.split(",")) for a, _ in rows}
    with pytest.raises(DataError, match=r"pairs\.csv:3\b.*the text_pair is empty"):
        broken = write(tmp_path / "pairs.csv", [rows[0], ("a,", "yes")], head=("first,second", "label"))
        run(tmp_path / "other", "source.format=csv", f"source.train={broken}", *columns)
