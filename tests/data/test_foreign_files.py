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
