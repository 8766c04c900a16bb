"""Windows of contexts are those that transformers' tokenizers make, and every token's place slices back to the text."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizerFast

from bertkit.data.spans.encoding import IGNORED, EncodedSpans, encode_questions
from bertkit.text import wordpiece

WORDS = [
    "the",
    "old",
    "captain",
    "sailed",
    "to",
    "a",
    "far",
    "island",
    "and",
    "lost",
    "his",
    "boat",
    "there",
    "老",
    "船",
    "长",
    "海",
    "岛",
    "1871",
    ",",
    ".",
    "##s",
    "##ed",
    "e",
    "é",
]
CONTEXT = (
    "The old captain sailed to a far island, and lost his boat there. The Island, 1871: 老船长 sailed，到海岛。" * 3
)
ODD = "cafe\u0301 \u200bisland\u200d 😀 Ｉｓｌａｎｄ ﬁ \u3000海\u0301岛 naïve [MASK] \ufeff[SEP]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    wordpiece.save([*wordpiece.SPECIAL_TOKENS, *WORDS], folder, casing=wordpiece.Casing(), model_max_length=64)
    return folder


def encode(folder: Path, contexts: list[list[str]], answers: list[list[dict]] | None, **options: int) -> EncodedSpans:
    questions = ["Who sailed to the island?"] * len(contexts)
    options = {"max_seq_length": 32, "doc_stride": 8, "max_query_length": 64} | options
    return encode_questions(folder, questions, contexts, answers, **options)


@pytest.mark.parametrize(("length", "stride"), [(32, 8), (20, 3), (64, 0), (200, 16)])
@pytest.mark.parametrize("text", ["island", "老船长", "sailed to a far island, and lost his boat there", "1871"])
def test_windows_offsets_and_labels_are_those_of_run_qa(folder: Path, length: int, stride: int, text: str) -> None:
    start = CONTEXT.rindex(text)
    answers = [[{"text": text, "answer_start": start}]]
    found = encode(folder, [[CONTEXT]], answers, max_seq_length=length, doc_stride=stride)
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    expected = tokenizer(
        "Who sailed to the island?",
        CONTEXT,
        truncation="only_second",
        max_length=length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert len(found) == len(expected["input_ids"])
    for window, ids in enumerate(expected["input_ids"]):
        arrays = found.collate(np.array([window]))
        assert arrays["input_ids"][0, : len(ids)].tolist() == ids
        assert arrays["token_type_ids"][0, : len(ids)].tolist() == expected["token_type_ids"][window]
        begin, end = int(arrays["context_begins"][0]), int(arrays["context_ends"][0])
        passage = found.passages[found.passage[window]]
        part = slice(found.first[window], found.last[window])
        places = list(zip(passage.starts[part].tolist(), passage.ends[part].tolist(), strict=True))
        assert places == expected["offset_mapping"][window][begin:end]
        assert (arrays["start_positions"][0], arrays["end_positions"][0]) == run_qa_labels(
            places, begin, start, start + len(text)
        )


def run_qa_labels(places: list[tuple[int, int]], begin: int, start: int, end: int) -> tuple[int, int]:
    """The rule of Hugging Face's example, written plainly."""
    if not (places[0][0] <= start and places[-1][1] >= end):
        return 0, 0
    first = max(i for i, place in enumerate(places) if place[0] <= start)
    last = min(i for i, place in enumerate(places) if place[1] >= end)
    return begin + first, begin + last


def test_every_context_token_slices_back_to_the_text(folder: Path) -> None:
    found = encode(folder, [[ODD]], None)
    passage = found.passages[0]
    pieces = [ODD[a:b] for a, b in zip(passage.starts, passage.ends, strict=True)]
    assert "".join(pieces[:1]) == "cafe\u0301"
    assert "😀" in pieces
    assert "岛" in pieces
    assert "MASK" in pieces
    assert (np.diff(passage.starts) >= 0).all()


def test_a_context_that_stands_in_many_questions_is_encoded_once(folder: Path) -> None:
    found = encode(folder, [[CONTEXT], [CONTEXT], [ODD, CONTEXT]], None)
    assert len(found.passages) == 2
    assert sorted(set(found.place[found.question == 2].tolist())) == [0, 1]


def test_no_window_is_longer_than_the_model_reads_whatever_the_question(folder: Path) -> None:
    long = "the old captain " * 40
    options = {"max_seq_length": 24, "doc_stride": 128, "max_query_length": 64}
    found = encode_questions(folder, [long, "Who?"], [[CONTEXT], [CONTEXT]], None, **options)
    assert found.lengths.max() == 24
    assert found.cut_questions == 1
    for question in (0, 1):
        covered = np.zeros(len(found.passages[0].ids), dtype=bool)
        for window in np.flatnonzero(found.question == question):
            covered[found.first[window] : found.last[window]] = True
        assert covered.all()


def test_a_window_without_the_answer_learns_cls_and_an_unplaced_answer_nothing(folder: Path) -> None:
    answers = [[{"text": "1871", "answer_start": CONTEXT.index("1871")}], [], [{"text": "x", "answer_start": -1}]]
    found = encode(folder, [[CONTEXT]] * 3, answers)
    per_question = [found.start_positions[found.question == number] for number in range(3)]
    assert (per_question[0] > 0).any()
    assert (per_question[0] == 0).any()
    assert (per_question[1] == 0).all()
    assert (per_question[2] == IGNORED).all()
    arrays = found.collate(np.flatnonzero(found.question == 2))
    assert found.denominators(arrays) == {"loss": 0}


def test_a_context_that_the_tokenizer_makes_nothing_of_is_one_empty_window(folder: Path) -> None:
    found = encode(folder, [["\u200b \u200b"]], [[{"text": "\u200b", "answer_start": 0}]])
    assert len(found) == 1
    assert found.first[0] == found.last[0]
    assert found.start_positions[0] == IGNORED


LETTERS = "island 海岛é\u0301\u200b\u3000😀,Ａ "


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=LETTERS, min_size=1, max_size=80), data=st.data())
def test_labels_slice_back_to_an_answer_that_holds_the_gold_one(folder: Path, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    gold = text[start : data.draw(st.integers(start + 1, len(text)))]
    if not gold.strip():
        return
    found = encode(folder, [[text]], [[{"text": gold, "answer_start": start}]], max_seq_length=200)
    first, last = int(found.start_positions[0]), int(found.end_positions[0])
    if first == IGNORED:
        return
    passage, begin = found.passages[0], found.begin(0)
    left, right = int(passage.starts[first - begin]), int(passage.ends[last - begin])
    # No token stands wholly outside the gold answer, and none that it touches is missing.
    touched = (passage.starts < start + len(gold)) & (passage.ends > start)
    assert np.flatnonzero(touched).tolist() == list(range(first - begin, last - begin + 1))
    assert text[left:right].strip()
