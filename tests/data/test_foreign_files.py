"""Files of other tools: read where they can be, and told by their name where not."""

import json

import pytest

from bertkit.errors import DataError, StageError
from bertkit.stages.inspection import open_pretrain_data
from bertkit.stages.task_inspection import inspect_file

TEXT = "Anna left Acme Ltd 😀."
ENTITIES = [{"start": 0, "end": 4, "labels": ["PER"]}, {"start": 10, "end": 18, "labels": ["ORG"]}]


def test_label_studio_min_is_read(tmp_path):
    path = tmp_path / "min.json"
    path.write_text(json.dumps([{"id": i, "text": TEXT, "label": ENTITIES, "annotator": 1} for i in range(4)]))
    found = inspect_file(path, {})
    assert (found["format"], found["entities"]) == ("tagged_jsonl", {"ORG": 4, "PER": 4})


def test_an_entity_of_two_types_is_told_by_its_object(tmp_path):
    path = tmp_path / "min.json"
    both = [{"start": 0, "end": 4, "labels": ["PER", "ORG"]}]
    path.write_text(json.dumps([{"text": TEXT, "label": ENTITIES}, {"text": TEXT, "label": both}]))
    (bad,) = inspect_file(path, {})["bad_rows"]
    assert bad["where"].endswith("min.json:1, object 2")


def test_label_studio_full_export_is_named(tmp_path):
    path = tmp_path / "full.json"
    path.write_text(json.dumps([{"id": 1, "data": {"text": TEXT}, "annotations": [{"result": []}]}]))
    with pytest.raises(DataError, match="is Label Studio's full export") as caught:
        inspect_file(path, {})
    assert "JSON-MIN" in str(caught.value.remedy)


def test_a_spreadsheet_is_named(tmp_path):
    path = tmp_path / "sheet.xlsx"
    path.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(DataError, match="is a zip archive or a spreadsheet"):
        inspect_file(path, {})


def test_a_folder_of_texts_is_told_from_an_unfinished_stage(tmp_path):
    (tmp_path / "pos").mkdir()
    with pytest.raises(StageError, match="no stage of bertkit wrote"):
        open_pretrain_data(tmp_path, None)


def test_a_text_without_entities_may_come_first(tmp_path):
    path = tmp_path / "doccano.jsonl"
    rows = [{"id": 1, "text": "Nobody.", "label": []}, {"id": 2, "text": TEXT, "label": [[0, 4, "PER"]]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = inspect_file(path, {})
    assert (found["format"], found["entities"], found["rows"]["used"]) == ("tagged_jsonl", {"PER": 1}, 2)
    path.write_text("".join(json.dumps({"text": f"x{i}", "label": ["a", "b"][:i]}) + "\n" for i in range(3)))
    assert inspect_file(path, {})["problem_type"] == "multi_label_classification"


def test_tokens_beside_the_entities_are_no_tagged_tokens(tmp_path):
    path = tmp_path / "prodigy.jsonl"
    row = {"text": TEXT, "tokens": [{"text": "Anna", "start": 0, "end": 4, "id": 0}], "answer": "accept"}
    path.write_text(json.dumps(row | {"spans": [{"start": 0, "end": 4, "token_start": 0, "label": "PER"}]}) + "\n")
    found = inspect_file(path, {})
    assert (found["read_as"], found["entities"]) == ({"text": "text", "label": "spans"}, {"PER": 1})


@pytest.mark.parametrize("rows", [[{"title": "t", "paragraphs": []}], [{"context_text": "t", "qas": []}]])
def test_parts_of_a_file_of_questions_are_told_how_to_be_one(tmp_path, rows):
    path = tmp_path / "part.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(DataError, match="has no list 'data'") as caught:
        inspect_file(path, {})
    assert '"paragraphs"' in caught.value.remedy


def test_lines_that_begin_with_a_broken_one_are_lines_still(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "label": "x"\n' + '{"text": "b", "label": "y"}\n{"text": "c", "label": "x"}\n')
    found = inspect_file(path, {})
    assert (found["format"], found["rows"]) == ("jsonl", {"read": 3, "used": 2, "bad": 1})
    assert found["bad_rows"][0]["where"] == f"{path}:1"


def test_texts_with_paragraphs_beside_them_are_texts(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"text": f"text {i}", "label": "ab"[i % 2], "paragraphs": ["text"]} for i in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = inspect_file(path, {})
    assert (found["format"], found["rows"]["used"]) == ("jsonl", 4)
