"""The known sets of questions have the counts that their publishers name, and keep contexts whole."""

from pathlib import Path

import pytest

from bertkit.data.spans.catalogue import SETS
from bertkit.data.spans.questions import MOVED, NOWHERE
from bertkit.data.spans.task import read_known
from bertkit.errors import DataError, HostError

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(not (DATA / "squad").is_dir(), reason="needs ../shared/data")


@needs_data
@pytest.mark.parametrize(
    ("name", "read", "unanswerable"),
    [
        ("squad", {"train": 5101 + 3810, "validation": 10570}, {"train": 0, "validation": 0}),
        ("squad_v2", {"train": 4719, "validation": 11873}, {"train": 348, "validation": 5945}),
        ("cmrc2018", {"train": 3219, "test": 1002}, {"train": 0, "test": 0}),
        ("drcd", {"train": 3524, "test": 3493}, {"train": 0, "test": 0}),
    ],
)
def test_counts_are_the_published_ones(name: str, read: dict[str, int], unanswerable: dict[str, int]) -> None:
    data = read_known(name, data_dir=DATA)
    facts = data.describe()
    assert facts["read"] == read
    assert facts["unanswerable"] == unanswerable
    for split, count in read.items():
        assert facts["counts"][split] + sum(facts["dropped"][split].values()) == count
    if name != "cmrc2018":
        assert facts["changed"] == {split: {} for split in read}
        assert facts["counts"] == read
    if name == "cmrc2018":
        assert facts["changed"]["train"][MOVED] + facts["changed"]["train"][NOWHERE] == 200
        assert facts["changed"]["test"] == {MOVED: 5}


@needs_data
def test_the_validation_split_shares_no_context_with_train() -> None:
    data = read_known("drcd", data_dir=DATA)
    data.prepare(validation_percentage=10)
    facts = data.describe()
    assert facts["overlap"]["validation_contexts_in_train"] == 0
    assert facts["counts"]["train"] + facts["counts"]["validation"] == 3524


def test_every_set_says_where_it_comes_from() -> None:
    for known in SETS:
        assert known.kind == "spans"
        assert known.licence
        assert known.citation
        assert known.scorer in ("squad", "squad_v2", "cmrc")


def test_without_local_files_a_set_comes_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"id": "1", "title": "t", "context": "In the harbour.", "question": "Where?"}
    placed = {**row, "answers": {"text": ["harbour"], "answer_start": [7]}}
    silent = {**row, "id": "2", "answers": {"text": [], "answer_start": []}}
    wrong = {**row, "id": "3", "answers": {"text": ["harbour"], "answer_start": [6]}}
    rows = {"train": [placed, silent], "validation": [placed]}
    monkeypatch.setattr("datasets.load_dataset", lambda path, name, revision: rows)
    data = read_known("squad_v2")
    assert [(q.id, q.answers) for q in data.splits["train"]] == [
        ("1", [{"text": "harbour", "answer_start": 7}]),
        ("2", []),
    ]
    assert data.splits["validation"][0].where == "squad_v2 (validation): row 1"
    rows["train"].append(wrong)
    with pytest.raises(DataError, match=r"rajpurkar/squad_v2 \(train\): row 3"):
        read_known("squad_v2")
    assert read_known("squad_v2", max_bad_rows=1).tallies["train"].bad == 1


def test_a_set_that_is_not_on_the_hub_says_where_its_files_belong() -> None:
    with pytest.raises(HostError, match="DIR/drcd"):
        read_known("drcd")
