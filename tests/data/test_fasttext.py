"""fastText's lines: labels before the text, one or several."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data.tables.fasttext import has_several, read_fasttext
from bertkit.data.tables.rows import BadRow
from bertkit.data.tasks import read_files
from bertkit.errors import ConfigError, DataError
from bertkit.stages.task_inspection import inspect_file


def write(folder: Path, *lines: str) -> Path:
    path = folder / "train.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path):
    data = read_files({"train": path}, format="fasttext", columns={})
    data.prepare(validation_percentage=0)
    return data


def test_one_label_a_text(tmp_path):
    path = write(
        tmp_path, "__label__good 很好 , really", "__label__bad no __label__good here", "", "__label__good\t x "
    )
    data = read(path)
    assert [(e.text, e.label) for e in data.splits["train"]] == [
        ("很好 , really", "good"),
        ("no __label__good here", "bad"),
        ("x", "good"),
    ]
    assert (data.problem_type, data.labels) == ("single_label_classification", ["bad", "good"])
    assert data.tallies["train"].dropped["blank line"] == 1
    assert inspect_file(path, {})["format"] == "fasttext"


def test_several_labels_in_one_line_make_all_lists(tmp_path):
    data = read(write(tmp_path, "__label__a __label__b both", "__label__b one"))
    assert data.problem_type == "multi_label_classification"
    assert [e.label for e in data.splits["train"]] == [("a", "b"), ("b",)]


def test_lines_without_a_label_or_a_text_are_told_by_line(tmp_path):
    with pytest.raises(DataError, match=r"train.txt:2: begins without __label__: 'no label'"):
        read(write(tmp_path, "__label__a x", "no label", "__label__b y"))
    with pytest.raises(DataError, match=r"train.txt:2"):
        read(write(tmp_path, "__label__a x", "__label__b", "__label__b y"))


def test_validation_lines_may_not_have_more_labels_than_training_lines(tmp_path):
    (tmp_path / "dev.txt").write_text("__label__a __label__b z\n")
    with pytest.raises(DataError, match="a list"):
        read_files(
            {"train": write(tmp_path, "__label__a x", "__label__b y"), "validation": tmp_path / "dev.txt"},
            format="fasttext",
            columns={},
        )


def test_columns_have_no_meaning(tmp_path):
    path = write(tmp_path, "__label__a x", "__label__b y")
    with pytest.raises(ConfigError, match="columns: fastText's files have none"):
        inspect_file(path, {"columns": {"text": "t"}})


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20), max_size=8))
def test_rows_in_are_rows_out(tmp_path_factory, texts):
    path = write(tmp_path_factory.mktemp("lines"), *texts)
    rows = list(read_fasttext(path, several=has_several(path)))
    assert len(rows) == len(texts)
    assert all(isinstance(row, BadRow) or {"text", "label"} == set(row.values) for row in rows)
