import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.text.sentences import WINDOW, split, split_counting


@pytest.mark.parametrize(
    ("language", "text", "sentences"),
    [
        (
            "en",
            "Dr. Lee paid $3.50 to J. K. Moss. Why? Nobody knows!",
            ["Dr. Lee paid $3.50 to J. K. Moss.", "Why?", "Nobody knows!"],
        ),
        (
            "en",
            'He said "Wait. Not yet." and sat down. Then he left.',
            ['He said "Wait. Not yet." and sat down.', "Then he left."],
        ),
        ("en", "A heading\nNo full stop here\nThe end.", ["A heading", "No full stop here", "The end."]),
        ("zh", "天黑了。你好吗？走吧！", ["天黑了。", "你好吗？", "走吧！"]),
        # Quoted speech stays whole, and its closing mark stays with it.
        ("zh", "他说：“好。走吧！”然后出门。真的？！", ["他说：“好。走吧！”", "然后出门。", "真的？！"]),
        ("zh", "第一段没有句号\n第二段。", ["第一段没有句号", "第二段。"]),
        ("zh", "一共3.5元……够了。", ["一共3.5元……够了。"]),
        ("en", "", []),
        ("en", " \n ", []),
    ],
)
def test_sentences(language: str, text: str, sentences: list[str]) -> None:
    assert split(text, language) == sentences


@given(st.text(st.sampled_from("ab .!?。！？“”\"'()\n中文。"), max_size=200), st.sampled_from(["en", "zh"]))
def test_only_white_space_is_lost_and_no_line_end_is_crossed(text: str, language: str) -> None:
    sentences = split(text, language)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() and "\n" not in sentence for sentence in sentences)


def test_a_paragraph_longer_than_a_window_splits_as_short_ones_do() -> None:
    sentences = [f"This is sentence number {i} of Mr. Hall's long story." for i in range(3 * WINDOW // 40)]
    assert split_counting(" ".join(sentences), "en") == (sentences, 0)


def test_a_sentence_longer_than_a_window_is_cut_between_words_and_counted() -> None:
    text = "word " * WINDOW
    sentences, cuts = split_counting(text.strip(), "en")
    assert cuts == len(sentences) - 1 == 4
    assert " ".join(sentences) == text.strip()
    sentences, cuts = split_counting("x" * 100_000, "en")
    assert ("".join(sentences), cuts) == ("x" * 100_000, 4)


def test_a_hostile_paragraph_takes_linear_time() -> None:
    # A million of these took the library alone over six minutes.
    started = time.monotonic()
    assert split("甲。“" * 30_000, "zh")
    assert time.monotonic() - started < 10
