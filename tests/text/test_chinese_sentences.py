import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.text.chinese_sentences import LONGEST_SPEECH, pieces
from bertkit.text.sentences import split

NOVELS = Path(__file__).parents[2] / "../shared/data/novels_zh"


@pytest.mark.parametrize(
    "sentences",
    [
        ["“你吃了？”", "她问。", "“吃了。”"],
        ["他說：「好。走吧！」", "然後出門。"],
        # Speech within speech, in either script.
        ["她想：“他问：‘谁？’我该说：‘是我。’”", "门开了。"],
        ["她想：「他問：『誰？』我該說：『是我。』」", "門開了。"],
        # What a comma follows goes on.
        ["“真的？”，他又问了一遍。", "没有人答。"],
        # A bracket belongs to its sentence, unless it holds a whole one.
        ["他（是姓李吧？）走了。", "（全文完。）", "下一章。"],
        # Straight quotation marks, and straight ones mixed with curly ones.
        ['他说:"好。走吧!"', "然后出门。"],
        ['他说："好。走吧！”', "然后出门。"],
        # Numbers, addresses, English.
        ["这是二〇一五年的事。", "2016年他又来了。"],
        ["版本3.5比2.0好.", "便宜,推荐!", "值得买."],
        ["网址是http://a.example/b?c=d。", "好。"],
        ["A.B.C公司请来Mr. Wang。", "He sat down.", "然后他走了。"],
        ["真的？！", "是的！！！", "好……吧。", "走了。。。"],
        # A full stop as wide as a character is one, but not after a digit or a letter.
        ["天黑了．", "長３．５米，見１．甲、Ｊ．Ｋ．乙．"],
        ["半角的句号｡", "也是。"],
    ],
)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    assert split("".join(sentences), "zh") == sentences
    assert split("\u3000\u3000".join(sentences), "zh") == sentences


def test_a_mark_without_a_partner_protects_nothing() -> None:
    assert split("他叫：“快跑！门开了。人走了。", "zh") == ["他叫：“快跑！", "门开了。", "人走了。"]
    assert split("“甲来了。”乙道：“你好。丙又道：“走吧。”", "zh") == ["“甲来了。”", "乙道：“你好。", "丙又道：“走吧。”"]
    assert split("他走了。”她说。“", "zh") == ["他走了。”", "她说。“"]


def test_long_speech_is_cut_like_any_text() -> None:
    speech = "我说了一句话。" * (LONGEST_SPEECH // 7 + 1)
    assert split(f"他道：“{speech}”众人都笑。", "zh") == [
        "他道：“我说了一句话。",
        *["我说了一句话。"] * (LONGEST_SPEECH // 7 - 1),
        "我说了一句话。”",
        "众人都笑。",
    ]


MARKS = '。！？.!?．｡…“”‘’「」『』（）()《》"，、： \u3000'


@given(st.text(st.sampled_from(f"{MARKS}甲乙丙ab12"), max_size=120))
def test_nothing_is_lost_and_no_sentence_begins_with_a_closing_mark(text: str) -> None:
    found = pieces(text)
    assert "".join(found) == text
    assert all(found)
    for piece in found[1:]:
        assert piece.lstrip()[0] not in "。！？，、：”’」』）》"
        assert any(character.isalnum() for character in piece)


@settings(max_examples=50)
@given(
    st.lists(st.text(st.sampled_from("天地玄黄宇宙洪荒"), min_size=1, max_size=9), min_size=1, max_size=8), st.data()
)
def test_sentences_that_are_joined_come_apart_again(words: list[str], data: st.DataObject) -> None:
    shapes = ["{}。", "{}！", "他说：“{}？好。”", "（{}。）", "《{}》如何？", "「{}。」", "{}（{}）。"]
    sentences = [data.draw(st.sampled_from(shapes)).replace("{}", word) for word in words]
    assert split("".join(sentences), "zh") == sentences


@pytest.mark.parametrize("unit", ["甲。“", "（甲。）", "“‘", "甲.", "”", "。", "甲 "])
def test_no_paragraph_takes_more_than_linear_time(unit: str) -> None:
    started = time.monotonic()
    assert split(unit * 100_000, "zh")
    assert time.monotonic() - started < 10


@pytest.mark.skipif(not NOVELS.is_dir(), reason="needs ../shared/data/novels_zh")
def test_novels_come_apart_into_sentences_of_usual_length() -> None:
    for name in ("hongloumeng", "xiyouji"):
        sentences = split((NOVELS / f"{name}.txt").read_text(encoding="utf-8"), "zh")
        assert not [one for one in sentences if one[0] in "。！？，、：；”’」』）》"]
        assert sum(len(one) > 400 for one in sentences) <= 2
