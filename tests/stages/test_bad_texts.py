"""What goes wrong in labelled files is refused by line or counted; what is merely unusual is kept as it is."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertkit.data import tasks
from bertkit.data.encoding import encode_rows
from bertkit.errors import DataError
from bertkit.text import wordpiece

TEXT = {"text": "text", "label": "label"}


def jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows(count: int = 20) -> list[dict]:
    return [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(count)]


def read(path: Path, **options) -> tasks.LabelledData:
    more = {"test": options.pop("test")} if "test" in options else {}
    data = tasks.read_files({"train": path, **more}, format="jsonl", columns=TEXT, **options)
    data.prepare(validation_percentage=0)
    return data


def test_unusual_texts_are_kept_letter_by_letter_and_encoded(tmp_path):
    unusual = {
        "emoji": "so good 👩‍👩‍👧 🇩🇪",
        "right to left": "مرحبا بالعالم שלום",
        "zero width": "a\u200bb\u200d\ufeffc",
        "full width": "ＡＢＣ　１２３",
        "combining": "e\u0301 ñ",
        "control": "a\u0007b\u2028c",
        "long": "汉字 and words " * 140_000,
    }
    assert len(unusual["long"].encode()) > 2 * 2**20
    given_rows = [{"text": text, "label": name} for name, text in unusual.items()]
    found = read(jsonl(tmp_path / "a.jsonl", *given_rows))
    assert {e.label: e.text for e in found.splits["train"]} == unusual
    found.write(tmp_path)
    wordpiece.save([*wordpiece.SPECIAL_TOKENS, "a", "b"], tmp_path, casing=wordpiece.Casing(), model_max_length=32)
    encoded = encode_rows(tmp_path, given_rows, [0] * len(given_rows), max_seq_length=16)
    assert encoded.lengths.max() == 16
    assert encoded.truncated >= 1
    assert encoded.lengths.min() > 2


@pytest.mark.parametrize("label", ["NA", "007", "null", "None", "nan", "true", "１", "—", "👍"])
def test_strange_labels_are_labels(tmp_path, label):
    found = read(jsonl(tmp_path / "a.jsonl", *rows(), {"text": "z", "label": label}))
    assert label in found.labels


def test_an_empty_file_and_a_split_without_rows_are_refused(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match="train has no rows"):
        read(tmp_path / "empty.jsonl")
    with pytest.raises(DataError, match="test has no rows"):
        read(jsonl(tmp_path / "a.jsonl", *rows()), test=tmp_path / "empty.jsonl")


def test_one_class_is_refused_in_train_and_in_test(tmp_path):
    train = jsonl(tmp_path / "a.jsonl", *rows())
    one = jsonl(tmp_path / "one.jsonl", *({"text": f"{i}", "label": "a"} for i in range(3)))
    with pytest.raises(DataError, match="only 'a'"):
        read(one)
    with pytest.raises(DataError, match="all 3 rows of test have the label 'a'"):
        read(train, test=one)


def test_a_label_that_training_lacks_is_named_by_line(tmp_path):
    train = jsonl(tmp_path / "a.jsonl", *rows())
    test = jsonl(tmp_path / "test.jsonl", *rows(4), {"text": "new", "label": "c"})
    with pytest.raises(DataError, match="'c' of test does not occur in train") as caught:
        read(train, test=test)
    assert caught.value.where == f"{test}:5"


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "high", "", None, True, [1.0]])
def test_what_is_no_number_stops_a_regression_by_line(tmp_path, value):
    good = [{"text": f"t{i}", "label": i / 2} for i in range(6)]
    path = jsonl(tmp_path / "a.jsonl", *good, {"text": "odd", "label": value})
    with pytest.raises(DataError) as caught:
        read(path, problem_type="regression")
    assert caught.value.where == f"{path}:7"
    found = read(path, problem_type="regression", max_bad_rows=1)
    assert len(found.splits["train"]) == 6
    assert found.tallies["train"].errors[0].where == f"{path}:7"


def test_nan_in_parquet_is_a_missing_label(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c"], "label": [1.0, 2.0, math.nan]}), path)
    for problem in (None, "regression"):
        with pytest.raises(DataError) as caught:
            tasks.read_files({"train": path}, format="parquet", columns=TEXT, problem_type=problem)
        assert caught.value.where == f"{path}: row 3"


def test_several_labels_in_a_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,tags\none,"tea, rain"\ntwo,\nthree,tea\n', encoding="utf-8")
    data = tasks.read_files(
        {"train": path}, format="csv", columns={"text": "text", "label": "tags"}, label_separator=","
    )
    data.prepare(validation_percentage=0)
    task = data.describe()
    assert (task["problem_type"], task["labels"]) == ("multi_label_classification", ["rain", "tea"])
    assert task["label_counts"]["train"] == {"rain": 1, "tea": 2}
    assert task["changed"]["train"]["empty label read as none of the labels"] == 1
    data.write(tmp_path)
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "train.parquet")["label"].to_pylist() == [["rain", "tea"], [], ["tea"]]


def test_a_column_for_each_label_in_a_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,rude,Off topic\none,1,0\ntwo,0,0\nthree,1,1\n", encoding="utf-8")
    columns = {"text": "text", "label": "label", "labels": {"rude": "rude", "off": "Off topic"}}
    data = tasks.read_files({"train": path}, format="csv", columns=columns)
    data.prepare(validation_percentage=0)
    assert data.labels == ["rude", "off"]
    assert [e.label for e in data.splits["train"]] == [("rude",), (), ("off", "rude")]
    path.write_text("text,rude,Off topic\none,1,maybe\n", encoding="utf-8")
    with pytest.raises(DataError, match="'off' is 'maybe'"):
        tasks.read_files({"train": path}, format="csv", columns=columns)


values = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.lists(st.text(max_size=2), max_size=2)
)  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(values, values), max_size=8),
    st.sampled_from([None, "single_label_classification", "multi_label_classification", "regression"]),
    st.sampled_from(["jsonl", "csv"]),
)
def test_rows_read_are_rows_used_and_rows_reported(tmp_path, cells, problem, format):
    path = tmp_path / "rows"
    if format == "jsonl":
        path.write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in cells) or "\n", encoding="utf-8")
    else:
        lines = ["text,label", *(f"{t},{y}" for t, y in cells)]
        path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    try:
        data = tasks.read_files({"train": path}, format=format, columns=TEXT, problem_type=problem, max_bad_rows=10**6)
    except DataError:
        assert format == "csv"  # a quote that is never closed, or a broken header, hides rows that nobody can count
        return
    tally = data.tallies["train"]
    assert tally.read == len(data.splits["train"]) + tally.dropped.total()
    assert tally.bad >= len(tally.errors)
    if format == "jsonl":
        assert tally.read == max(1, len(cells))


def test_values_that_say_there_is_no_label_are_left_out_and_counted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\none,yes\ntwo,-\nthree,no\nfour, - \nfive,-1\n", encoding="utf-8")
    data = tasks.read_files({"train": path}, format="csv", columns=TEXT, unlabelled=["-", "-1"])
    data.prepare(validation_percentage=0)
    assert (data.labels, len(data.splits["train"])) == (["no", "yes"], 2)
    assert data.describe()["dropped"]["train"] == {"unlabelled": 3}
    assert data.tallies["train"].bad == 0
