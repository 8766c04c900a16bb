"""Files of questions: every answer is checked against its context, and every question read is used or reported."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.spans import questions as reasons
from bertkit.data.spans.questions import Question, read_questions
from bertkit.data.spans.squad import squad_entries
from bertkit.data.spans.task import read_files
from bertkit.data.task_examples import Tally
from bertkit.errors import DataError

ENGLISH = "The old captain of the Marten sailed to Skarvik in 1871. He died in Skarvik."
CHINESE = "老船长林海于1871年驶往白鹭岛，后来在白鹭岛去世。😀"


def answer(context: str, text: str, *, move: int = 0) -> dict:
    return {"text": text, "answer_start": context.index(text) + move}


def entry(name: str = "q", question: str = "Where?", answers: object = None, **more: object) -> dict:
    return {"id": name, "question": question, "answers": answers or [], **more}


def write(path: Path, *paragraphs: tuple[object, list]) -> Path:
    content = {"data": [{"title": "t", "paragraphs": [{"context": c, "qas": qas} for c, qas in paragraphs]}]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(path: Path, **options: object) -> tuple[list[Question], Tally]:
    tally = Tally()
    return list(read_questions(path, squad_entries(path), tally=tally, **options)), tally


def test_both_versions_are_read_with_answers_in_characters(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        (ENGLISH, [entry("1", answers=[answer(ENGLISH, "Skarvik"), answer(ENGLISH, "1871")])]),
        (CHINESE, [entry("2", answers=[answer(CHINESE, "😀")]), entry("3", is_impossible=True)]),
    )
    found, tally = read(path)
    assert [q.id for q in found] == ["1", "2", "3"]
    for question in found:
        for one in question.answers:
            assert question.context[one["answer_start"] :].startswith(one["text"])
    assert found[2].answers == []
    assert found[1].where == "a.json#/data/0/paragraphs/1/qas/0"
    assert (tally.read, tally.bad) == (3, 0)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", (ENGLISH, [entry(answers=[answer(ENGLISH, "1871")])]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read(path)[0]) == 1


def test_another_encoding_is_told_with_its_remedy(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", (ENGLISH, []))
    path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(DataError, match="not UTF-8: invalid start byte at byte 0") as caught:
        read(path)
    assert caught.value.remedy == "Convert the file to UTF-8."


def test_wrong_offsets_are_refused_with_their_count_and_examples(tmp_path: Path) -> None:
    wrong = [entry(f"q{i}", answers=[answer(ENGLISH, "1871", move=i)]) for i in range(9)]
    path = write(tmp_path / "a.json", (ENGLISH, wrong))
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert "8 of 9 questions cannot be used (8 answer is not at answer_start)" in message
    assert f"{path}#/data/0/paragraphs/0/qas/1: at answer_start" in message
    assert "source.repair_answers=true" in message


def test_wrong_offsets_are_repaired_only_when_asked(tmp_path: Path) -> None:
    second = ENGLISH.rindex("Skarvik")
    answers = [{"text": "Skarvik", "answer_start": second - 3}, {"text": "Nowhere", "answer_start": 4}]
    path = write(tmp_path / "a.json", (ENGLISH, [entry(answers=answers)]))
    (question,), tally = read(path, repair=True)
    assert [one["answer_start"] for one in question.answers] == [second, -1]
    assert tally.changed == {reasons.MOVED: 1, reasons.NOWHERE: 1}


@pytest.mark.parametrize(
    ("context", "qa", "reason"),
    [
        (None, entry(answers=[{"text": "a", "answer_start": 0}]), reasons.NO_CONTEXT),
        ("  ", entry(), reasons.NO_CONTEXT),
        (7, entry(), reasons.NOT_TEXT),
        (ENGLISH, entry(question=" "), reasons.NO_QUESTION),
        (ENGLISH, entry(question=3), reasons.NOT_TEXT),
        (ENGLISH, entry(), reasons.NO_ANSWER),
        (ENGLISH, entry(answers=[{"text": "", "answer_start": 0}]), reasons.BAD_ANSWER),
        (ENGLISH, entry(answers=[{"text": "The", "answer_start": "0"}]), reasons.BAD_ANSWER),
        (ENGLISH, entry(answers=[{"text": "The", "answer_start": True}]), reasons.BAD_ANSWER),
        (ENGLISH, entry(answers="The"), reasons.BAD_ANSWER),
        (ENGLISH, entry(answers=["The"]), reasons.BAD_ANSWER),
        (ENGLISH, entry(answers=[answer(ENGLISH, "The")], is_impossible=True), reasons.CONTRADICTION),
        (ENGLISH, entry(is_impossible="false"), reasons.NOT_A_FLAG),
        (ENGLISH, {"question": "Where?"}, reasons.NO_ID),
        (ENGLISH, "Where?", reasons.NO_ID),
        (ENGLISH, entry(question="Where\ud83d?", is_impossible=True), "lone surrogate"),
        (ENGLISH, entry(answers=[{"text": "x\ud83d", "answer_start": 0}]), "lone surrogate"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_used_is_counted_by_reason(
    tmp_path: Path, context: object, qa: object, reason: str
) -> None:
    path = write(tmp_path / "a.json", (context, [qa]), (ENGLISH, [entry("good", answers=[answer(ENGLISH, "1871")])]))
    with pytest.raises(DataError, match=r"#/data/0/paragraphs/0/qas/0"):
        read(path)
    found, tally = read(path, max_bad_rows=1)
    assert [q.id for q in found] == ["good"]
    assert tally.dropped == {reason: 1}


def test_an_id_must_not_stand_twice_in_a_split(tmp_path: Path) -> None:
    qas = [entry("same", answers=[answer(ENGLISH, "1871")])] * 2
    with pytest.raises(DataError, match="'same' stands twice"):
        read(write(tmp_path / "a.json", (ENGLISH, qas)))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data": [3]}', '{"data": [{"paragraphs": [{}]}]}', '{"data": '])
def test_another_layout_is_refused_with_the_right_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match='"paragraphs"'):
        read(tmp_path / "a.json")


def test_a_context_of_two_megabytes_is_read(tmp_path: Path) -> None:
    context = "海 sand " * 300_000 + "treasure"
    found, _ = read(write(tmp_path / "a.json", (context, [entry(answers=[answer(context, "treasure")])])))
    assert found[0].answers[0]["answer_start"] == len(context) - len("treasure")


def test_lines_of_json_are_read_in_both_forms_of_answers(tmp_path: Path) -> None:
    one = answer(ENGLISH, "Skarvik")
    rows = [
        {"q": "Where?", "c": ENGLISH, "a": [one]},
        {"q": "Where?", "c": ENGLISH, "a": {"text": [one["text"]], "answer_start": [one["answer_start"]]}},
        {"q": "Why?", "c": ENGLISH, "a": {"text": [], "answer_start": []}},
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\nnot json\n", encoding="utf-8")
    columns = {"question": "q", "context": "c", "answers": "a"}
    with pytest.raises(DataError, match=r"train\.jsonl:5: not JSON"):
        read_files({"train": path}, format="span_jsonl", columns=columns)
    data = read_files({"train": path}, format="span_jsonl", columns=columns, max_bad_rows=1)
    found = data.splits["train"]
    assert [q.answers for q in found] == [[one], [one], []]
    assert [q.id for q in found] == ["train:1", "train:2", "train:3"]
    assert data.scorer == "squad_v2"
    tally = data.tallies["train"]
    assert tally.read == len(found) + tally.dropped.total() == 5


TEXT = st.text(alphabet="ab 海，é\u0301\u200b😀\ud83d", max_size=12)
ANSWERS = st.one_of(
    st.none(),
    st.just("text"),
    st.lists(st.fixed_dictionaries({"text": TEXT, "answer_start": st.integers(-3, 14)}), max_size=2),
)
QA = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "2", 3, None]), "question": st.one_of(TEXT, st.integers()), "answers": ANSWERS},
    optional={"is_impossible": st.booleans()},
)


@settings(max_examples=80, deadline=None)
@given(
    paragraphs=st.lists(st.tuples(st.one_of(TEXT, st.none()), st.lists(QA, max_size=3)), max_size=3),
    repair=st.booleans(),
)
def test_questions_read_are_questions_used_and_questions_reported(
    tmp_path_factory: pytest.TempPathFactory, paragraphs: list, repair: bool
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.json", *paragraphs)
    found, tally = read(path, max_bad_rows=1000, repair=repair)
    assert tally.read == sum(len(qas) for _, qas in paragraphs) == len(found) + tally.dropped.total()
    for question in found:
        for one in question.answers:
            placed = question.context.startswith(one["text"], one["answer_start"])
            assert placed if one["answer_start"] >= 0 else repair and one["text"] not in question.context


def test_only_questions_without_answers_teach_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", (ENGLISH, [entry("1", is_impossible=True)]))
    with pytest.raises(DataError, match="train has no question with an answer") as caught:
        read_files({"train": path}).prepare(validation_percentage=0)
    assert caught.value.remedy
    write(path, (ENGLISH, []))
    with pytest.raises(DataError, match="train has no rows"):
        read_files({"train": path}).prepare(validation_percentage=0)
