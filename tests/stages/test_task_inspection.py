"""`bertkit inspect FILE` says what a file is taken for, which rows are bad and what a model would cut."""

import json
from pathlib import Path

import pytest
from transformers import BertTokenizer
from typer.testing import CliRunner

from bertkit import storage
from bertkit.cli import app
from bertkit.config import build, parse_overrides
from bertkit.errors import DataError
from bertkit.stages.task_data import TaskDataConfig, task_data
from bertkit.stages.task_inspection import as_text, inspect_file, inspect_folder, refuse_unusable


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rows = ["stars,review", "007,good food", "NA,warm tea", "007,good food", "NA,good food", "007,"]
    return write(tmp_path / "reviews.csv", *rows, "", '"007","two""quotes"')


def test_a_table_is_understood_and_every_row_accounted_for(reviews):
    found = inspect_file(reviews, {})
    assert (found["format"], found["columns"]) == ("csv", ["stars", "review"])
    assert found["read_as"] == {"text": "review", "label": "stars"}
    assert (found["kind"], found["problem_type"]) == ("classification", "single_label_classification")
    assert found["label_counts"] == {"007": 3, "NA": 2}
    assert found["rows"] == {"read": 7, "used": 5, "bad": 1}
    assert found["dropped"] == {"empty text": 1, "blank line": 1}
    assert found["bad_rows"][0]["where"] == f"{reviews}:6"
    assert (found["repeats"], found["contradictions"]) == (2, 3)
    assert found["characters"] == {"min": 8, "median": 9.0, "p95": pytest.approx(9.8), "max": 10}
    assert found["problem"] is None
    shown = "\n".join(as_text(found))
    for part in ("007: 3, NA: 2", "read: 7, used: 5, bad: 1", f"{reviews}:6: the text is empty", "--tokenizer"):
        assert part in shown


def test_columns_and_kinds_can_be_said(tmp_path):
    path = write(tmp_path / "pairs.txt", "0.5\tsoup\tstew", "2\tmoon\tboat", "0.5\tsoup\tstew")
    columns = {"text": 2, "text_pair": 3, "label": 1}
    found = inspect_file(path, {"header": False, "columns": columns, "problem_type": "regression"})
    assert (found["format"], found["problem_type"]) == ("tsv", "regression")
    assert found["label_range"] == {"min": 0.5, "mean": 1.0, "max": 2.0}
    undeclared = inspect_file(path, {"header": False, "columns": columns})
    with pytest.raises(DataError, match="has a fraction"):
        refuse_unusable(undeclared)


@pytest.mark.parametrize(
    ("name", "lines", "kind", "facts"),
    [
        ("a.jsonl", ['{"text": "x y", "labels": ["b", "a"]}', '{"text": "z", "labels": []}'], "classification",
         {"label_counts": {"a": 1, "b": 1}, "problem_type": "multi_label_classification"}),
        ("eng.train", ["Soup NN B-DISH", "is VB O", "", "Moon NN O"], "tagging", {"entities": {"DISH": 1}}),
        ("t.jsonl", ['{"tokens": ["Soup", "is"], "tags": ["B-DISH", "O"]}'], "tagging", {"tagged_tokens": 2}),
        ("s.jsonl", ['{"question": "What?", "context": "Hot soup.", "answers": [{"text": "soup", "answer_start": 4}]}'],
         "spans", {"unanswerable": 0}),
        ("squad.json", [json.dumps({"data": [{"title": "t", "paragraphs": [{"context": "Soup is hot.", "qas": [
            {"id": "1", "question": "What is hot?", "answers": [{"text": "Soup", "answer_start": 0}]},
            {"id": "2", "question": "What is cold?", "is_impossible": True, "answers": []}]}]}]})], "spans", {"unanswerable": 1}),
    ],
)  # fmt: skip
def test_every_kind_of_file_is_told_by_its_content(tmp_path, name, lines, kind, facts):
    found = inspect_file(write(tmp_path / name, *lines), {})
    assert found["kind"] == kind
    assert {key: found[key] for key in facts} == facts
    assert found["rows"]["bad"] == 0
    assert list(as_text(found))


def test_parquet_is_told_by_its_first_bytes(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"sentence": ["a", "b"], "label": [1.5, 2.0]}), tmp_path / "scores")
    found = inspect_file(tmp_path / "scores", {"problem_type": "regression"})
    assert (found["format"], found["rows"]["used"]) == ("parquet", 2)


def test_tokens_and_cuts_by_a_tokenizer(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "soup"]
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(tmp_path / "tokenizer")
    rows = [f"{'soup ' * n}\tsoup\t{i % 2}" for i, n in enumerate((1, 124, 125, 510))]
    path = write(tmp_path / "long.tsv", "text\ttext_pair\tlabel", *rows)
    found = inspect_file(path, {}, tokenizer=tmp_path / "tokenizer")
    assert found["tokens"] == {"min": 5, "median": 128.5, "p95": pytest.approx(456.25), "max": 514}
    assert found["truncated"] == {"128": 2, "256": 1, "512": 1}
    assert any("over 128 tokens" in line and "2 (50.0%)" in line for line in as_text(found))
    assert found["unknown_tokens"] == 0
    strange = write(tmp_path / "zh.tsv", "text\tlabel", "soup 汤\ta", "好 汤\tb")
    found = inspect_file(strange, {}, tokenizer=tmp_path / "tokenizer")
    assert found["unknown_tokens"] == 0.75
    assert any("unknown tokens" in line and "75.0%" in line for line in as_text(found))


def test_a_folder_of_task_data(reviews, tmp_path):
    overrides = ["source.format=csv", f"source.train={reviews}", "source.columns.text=review", "max_bad_rows=1"]
    config = build(
        TaskDataConfig, parse_overrides([*overrides, "source.columns.label=stars", "validation_percentage=0"])
    )
    out = tmp_path / "out"
    task_data.run(config, {}, out, task_data.identity(config, {}, storage.Digests()))
    found = inspect_folder(out)
    assert found["counts"] == {"train": 5}
    assert found["splits"]["train"]["characters"]["max"] == 10
    assert any("train characters" in line for line in as_text(found))


def test_the_command(reviews, tmp_path):
    runner = CliRunner()
    done = runner.invoke(app, ["inspect", str(reviews), "columns.label=stars", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["rows"]["used"] == 5
    one = write(tmp_path / "one.csv", "text,label", "a,x", "b,x")
    failed = runner.invoke(app, ["inspect", str(one)])
    assert isinstance(failed.exception, DataError)
    assert failed.exception.exit_code == 2
    assert "label counts" in failed.stdout


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "is empty"),
        ("empty.txt", b"\n\n", "is empty"),
        ("words.txt", b"some words\nand more", "does not say what kind of file"),
        ("bad.parquet", b"PAR1 and nothing else", "parquet"),
        ("wide.csv", "text,label\n".encode("utf-16"), "UTF-16"),
        ("no.csv", b"a,b\n1,2\n", "no column 'text'"),
        ("mac.csv", b"text,label\ra,x\rb,y\r", r"mac\.csv:1: the header cannot be read"),
        ("rows.csv.gz", b"\x1f\x8b", "is compressed"),
        ("head.csv", b"text,label\n", r"head\.csv: has no row that can be used, of 0"),
        ("list.json", b'[\n {"text": "a", "label": "x"},\n {"text": \n', r"list\.json:4: not JSON"),
        ("spacy.jsonl", b'["Ann", {"entities": [[0, 3, "PER"]]}]\n', "holds lists, not objects"),
    ],
)
def test_files_that_cannot_be_used_say_why(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        refuse_unusable(inspect_file(tmp_path / name, {}))


def test_a_file_without_a_usable_row_names_its_first(tmp_path):
    found = inspect_file(write(tmp_path / "none.csv", "text,label", ",x", "y,"), {})
    assert found["rows"] == {"read": 2, "used": 0, "bad": 2}
    with pytest.raises(DataError, match="no row that can be used, of 2"):
        refuse_unusable(found)
