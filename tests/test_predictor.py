"""A trained folder predicts what the evaluation said, for texts from Python, the shell and files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bertkit.artifacts import Metrics, TaskData
from bertkit.errors import DataError, StageError
from bertkit.predictor import Predictor, read_lines, read_objects


@pytest.fixture(scope="module")
def folder(whole_run: Path) -> Path:
    return whole_run / "latest/small/topic@1"


@pytest.fixture(scope="module")
def model(folder: Path) -> Predictor:
    return Predictor.load(folder, device="cpu", num_threads=1)


def test_predictions_are_those_of_the_evaluation(whole_run: Path, folder: Path, model: Predictor) -> None:
    data = TaskData.open(whole_run / "latest/small/topic_data")
    rows = data.rows("test")
    expected = {line["id"]: line for line in Metrics.open(whole_run / "latest/small/topic_eval@1").predictions()}
    for line, row in zip(model.predict(row["text"] for row in rows), rows, strict=True):
        assert line["predicted"] == expected[row["id"]]["predicted"]
        assert line["scores"] == pytest.approx(expected[row["id"]]["scores"], abs=1e-5)
        assert "gold" not in line


def test_inputs_keep_their_order_and_their_ids(model: Predictor) -> None:
    texts = [" ".join(["soup"] * n) for n in (30, 1, 12, 3)]
    alone = [model.predict([text])[0]["scores"] for text in texts]
    together = model.predict([{"text": text, "id": f"t{i}"} for i, text in enumerate(texts)], batch_size=3)
    assert [line["id"] for line in together] == ["t0", "t1", "t2", "t3"]
    for one, line in zip(alone, together, strict=True):
        assert line["scores"] == pytest.approx(one, abs=1e-5)
    assert model.predict([]) == []


@pytest.mark.parametrize("given", [None, 7, "  ", ["a", "b"], {"txt": "a"}, {"text": None}])
def test_an_input_that_is_no_text_is_refused_with_its_number(model: Predictor, given: object) -> None:
    with pytest.raises(DataError, match="input 2 "):
        model.predict(["fine", given])


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError):
        Predictor.load(tmp_path)


def test_files_are_read_by_line(tmp_path: Path) -> None:
    lines, objects = tmp_path / "texts.txt", tmp_path / "texts.jsonl"
    lines.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    assert list(read_lines(lines)) == ["one", "two"]
    objects.write_text('{"text": "a"}\nnot json\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"texts.jsonl:2: is not JSON"):
        list(read_objects(objects))
    lines.write_bytes(b"one\n\xff\n")
    with pytest.raises(DataError, match=r"texts.txt:2: is not UTF-8"):
        list(read_lines(lines))
    lines.write_bytes(b"one\n\ntwo\n")
    with pytest.raises(DataError, match=r"texts.txt:2: is empty"):
        list(read_lines(lines))
    with pytest.raises(DataError, match="No such file"):
        list(read_lines(tmp_path / "absent.txt"))


def test_the_command_prints_a_line_of_json_for_each_text(folder: Path) -> None:
    command = [sys.executable, "-m", "bertkit", "predict", str(folder), "--device", "cpu"]
    said = subprocess.run(
        [*command, "--file", "-", "--jsonl"],
        input='{"text": "the soup"}\n{"text": "a star", "id": "x"}\n',
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert [json.loads(line)["id"] for line in said.stdout.splitlines()] == ["1", "x"]
    assert subprocess.run(command, capture_output=True, text=True).returncode == 2


def test_what_came_before_a_bad_input_is_given(model: Predictor, folder: Path, tmp_path: Path) -> None:
    given = model.stream(["the soup", "a star", "  ", "a boat"])
    assert [next(given)["id"], next(given)["id"]] == ["1", "2"]
    with pytest.raises(DataError, match="input 3 has an empty text"):
        next(given)
    file = tmp_path / "texts.txt"
    file.write_bytes(b"the soup\na star\n\xff\n")
    command = [sys.executable, "-m", "bertkit", "predict", str(folder), "--file", str(file), "--device", "cpu"]
    said = subprocess.run(command, capture_output=True, text=True)
    assert (said.returncode, len(said.stdout.splitlines())) == (2, 2)
    assert "texts.txt:3: is not UTF-8" in said.stderr
