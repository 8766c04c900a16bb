"""Tagged sentences from JSON lines, each token with its place in the text."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.tagging.sentences import join_tokens
from bertkit.data.tagging.task import TaggedData, read_files
from bertkit.errors import DataError

TOKENS = {"tokens": "tokens", "tags": "tags"}
SPANS = {"text": "text", "label": "label"}


def load(path: Path, rows: list[Any], columns: dict[str, str] = TOKENS, **options: Any) -> TaggedData:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_files({"train": path}, format="tagged_jsonl", columns=columns, **options)


def test_places_of_tokens_in_english_and_chinese() -> None:
    for tokens, text in (
        (["Ada", "met", "Bob", "."], "Ada met Bob ."),
        (["李", "白", "和", "Bob", "Lee", "说", "："], "李白和Bob Lee说："),
        (["nice", "😀", "day"], "nice 😀 day"),
    ):
        joined, starts, ends = join_tokens(tokens)
        assert joined == text
        assert [joined[a:b] for a, b in zip(starts, ends, strict=True)] == tokens


def test_entities_by_their_places_become_tags_of_characters(tmp_path: Path) -> None:
    row = {"text": "李白 去长安", "label": {"name": {"李白": [[0, 1]]}, "address": {"长安": [[4, 5]]}}}
    (sentence,) = load(tmp_path / "a", [row], SPANS).splits["train"]
    assert sentence.tokens == list("李白去长安")
    assert sentence.tags == ["B-name", "I-name", "O", "B-address", "I-address"]
    assert sentence.text == row["text"]
    assert (sentence.starts[2], sentence.ends[2]) == (3, 4)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "2 tokens and 1 tags"),
        ({"tokens": ["a", None], "tags": ["O", "O"]}, "not a list of strings"),
        ({"tokens": "ab", "tags": ["O", "O"]}, "not a list of strings"),
        ({"tokens": ["a", ""], "tags": ["O", "O"]}, "token 2 is empty"),
        ({"tokens": [], "tags": []}, "no tokens"),
        ({"tokens": ["\ud800"], "tags": ["O"]}, "half a character"),
        ({"tokens": ["a"], "tags": ["B-\ud800"]}, "the tag has half a character"),
        ({"tokens": ["a"]}, "no column 'tags'"),
        ([1], "not an object"),
    ],
)
def test_unusable_rows_are_refused_by_line(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        load(tmp_path / "a", [{"tokens": ["x"], "tags": ["B-X"]}, row])
    assert caught.value.where == f"{tmp_path}/a:2"


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ({"name": {"李白": [[0, 2]]}}, "is not what stands at 0 to 2"),
        ({"name": {"李白": [[-4, -3]]}}, "is not what stands at"),
        ({"name": {"李白": [["0", 1]]}}, "no pair of numbers"),
        ({"name": {"李白": [0, 1]}}, "no pair of numbers"),
        ({"name": ["李白"]}, "not an object of mentions"),
        ({"": {"李白": [[0, 1]]}}, "not an object of mentions"),
        (None, "neither an object of types nor a list"),
        ([[0, 2]], "an entity is"),
        ([[0, 2, ""]], "an entity is"),
        ([{"start": 0, "label": "name"}], "an entity is"),
        ([[0, 9, "name"]], "where there is nothing: the text has 5 characters"),
        ([[2, 2, "name"]], "where there is nothing"),
        ([{"start": 1, "end": 3, "text": "李白", "label": "name"}], "'李白' is not what stands at 1 to 3: '白去'"),
        ([[0, 2, "name"], [1, 3, "place"]], "overlap at token 2"),
        ({"name": {"李白": [[0, 1]]}, "place": {"白": [[1, 1]]}}, "overlap"),
    ],
)
def test_wrong_places_are_refused(tmp_path: Path, label: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load(tmp_path / "a", [{"text": "李白去长安", "label": label}], SPANS)


def test_of_overlapping_entities_the_longer_is_kept_where_asked(tmp_path: Path) -> None:
    row = {"text": "李白去", "label": {"place": {"白": [[1, 1]]}, "name": {"李白": [[0, 1]]}}}
    data = load(tmp_path / "a", [row], SPANS, repair_tags=True)
    assert data.splits["train"][0].tags == ["B-name", "I-name", "O"]
    assert dict(data.tallies["train"].changed)["overlapping entity left out"] == 1


@pytest.mark.parametrize(
    "label",
    [
        [[4, 7, "PER"], [11, 19, "LOC"]],
        [{"start": 11, "end": 19, "label": "LOC"}, {"start": 4, "end": 7, "label": "PER"}],
        [
            {"start_offset": 4, "end_offset": 8, "type": "PER"},  # with the space after it
            {"start_offset": 11, "end_offset": 19, "type": "LOC"},
        ],
        [  # with what they say, its spaces written otherwise
            {"start": 4, "end": 7, "text": "Ann", "labels": ["PER"]},
            {"start": 11, "end": 19, "text": "New\\nYork ", "labels": ["LOC"]},
        ],
    ],
)
def test_entities_of_annotation_tools_are_tagged_words(tmp_path: Path, label: Any) -> None:
    text = "Did Ann go New York, or 北京?"
    data = load(tmp_path / "a", [{"text": text, "label": label}], SPANS)
    sentence = data.splits["train"][0]
    assert sentence.tokens == ["Did", "Ann", "go", "New", "York", ",", "or", "北", "京", "?"]
    assert sentence.tags == ["O", "B-PER", "O", "B-LOC", "I-LOC", *["O"] * 5]
    assert [sentence.text[a:b] for a, b in zip(sentence.starts, sentence.ends, strict=True)] == sentence.tokens
    assert sentence.text == text
    none = load(tmp_path / "b", [{"text": text, "label": []}], SPANS)
    assert set(none.splits["train"][0].tags) == {"O"}


def test_what_the_annotator_did_not_accept_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"text": "Did Ann go", "label": [[4, 7, "PER"]], "answer": a} for a in ("accept", "reject", "ignore")]
    rows.append({"text": "Bob too", "label": []})
    data = load(tmp_path / "a", rows, SPANS)
    assert [one.text for one in data.splits["train"]] == ["Did Ann go", "Bob too"]
    assert data.tallies["train"].dropped == {"the annotator did not accept it": 2}
    assert data.tallies["train"].bad == 0


def test_a_part_of_a_word_is_refused_or_taken_whole_and_counted(tmp_path: Path) -> None:
    row = {"text": "Annes house", "label": [[0, 3, "PER"]]}
    with pytest.raises(DataError, match="PER 'Ann' is part of a word of 'Annes'"):
        load(tmp_path / "a", [row], SPANS)
    data = load(tmp_path / "a", [row], SPANS, repair_tags=True)
    assert data.splits["train"][0].tags == ["B-PER", "O"]
    assert dict(data.tallies["train"].changed)["entity widened to whole words"] == 1


def test_many_entities_in_a_long_text_are_placed_in_moments(tmp_path: Path) -> None:
    count = 20_000
    row = {"text": "Ann went. " * count, "label": [[10 * i, 10 * i + 3, "PER"] for i in range(count)]}
    began = time.perf_counter()
    (sentence,) = load(tmp_path / "a", [row], SPANS).splits["train"]
    assert time.perf_counter() - began < 30  # each with each token and each other takes minutes
    assert sentence.tags == ["B-PER", "O", "O"] * count


def test_a_type_unseen_in_training_is_refused_with_its_place(tmp_path: Path) -> None:
    files = {"train": tmp_path / "train", "test": tmp_path / "test"}
    files["train"].write_text('{"tokens": ["a"], "tags": ["B-X"]}\n')
    files["test"].write_text('{"tokens": ["a"], "tags": ["O"]}\n{"tokens": ["a"], "tags": ["B-Y"]}\n')
    data = read_files(files, format="tagged_jsonl", columns=TOKENS)
    with pytest.raises(DataError, match="'Y' of test does not occur in train") as caught:
        data.prepare(validation_percentage=0)
    assert caught.value.where == "test:2"


def test_spaces_around_tags_and_types_lose_no_entity(tmp_path: Path) -> None:
    spaced = [{"tokens": ["a", "b"], "tags": ["PER ", "O"]}, {"tokens": ["c"], "tags": ["PER"]}]
    with pytest.raises(DataError, match="'PER ' has spaces around it"):
        load(tmp_path / "a", spaced)
    repaired = load(tmp_path / "b", spaced, repair_tags=True)
    assert [sentence.tags for sentence in repaired.splits["train"]] == [["B-PER", "O"], ["B-PER"]]
    for label in ([[0, 1, "PER "]], {" ": {"a": [[0, 0]]}}):
        with pytest.raises(DataError, match="has spaces around it"):
            load(tmp_path / "c", [{"text": "a b", "label": label}], SPANS)


def test_files_without_entities_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no entities"):
        load(tmp_path / "a", [{"tokens": ["a"], "tags": ["O"]}]).prepare(validation_percentage=0)


values = st.recursive(
    st.none() | st.integers(-2, 4) | st.text(max_size=3), lambda v: st.lists(v, max_size=3), max_leaves=4
)
rows = st.one_of(
    st.fixed_dictionaries(
        {
            "tokens": st.lists(st.text(max_size=2), max_size=3),
            "tags": st.lists(st.sampled_from(["O", "B-X", "I-X"]), max_size=3),
        }
    ),
    st.fixed_dictionaries({"tokens": values, "tags": values}),
    values,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, max_size=6))
def test_rows_in_are_rows_used_and_reported(given_: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = load(Path(folder) / "a", given_, max_bad_rows=99)
    tally = data.tallies["train"]
    assert tally.read == len(given_) == len(data.splits["train"]) + sum(tally.dropped.values())
    for sentence in data.splits["train"]:
        assert [sentence.text[a:b] for a, b in zip(sentence.starts, sentence.ends, strict=True)] == sentence.tokens


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "text": values | st.just("李白去"),
                "label": values
                | st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4), st.sampled_from(["x", ""])), max_size=3)
                | st.dictionaries(
                    st.text(max_size=1),
                    values
                    | st.dictionaries(
                        st.sampled_from("李白去"),
                        st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), max_size=2),
                        max_size=2,
                    ),
                    max_size=2,
                ),
            }
        ),
        max_size=4,
    )
)
def test_rows_with_places_are_used_or_reported(given_: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = load(Path(folder) / "a", given_, SPANS, max_bad_rows=99)
    tally = data.tallies["train"]
    assert tally.read == len(given_) == len(data.splits["train"]) + sum(tally.dropped.values())
