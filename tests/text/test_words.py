"""Words of Chinese text are the segmenter's; what is written with letters stays as it is written."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from bertkit.errors import HostError, IntegrityError
from bertkit.text import words
from bertkit.text.words import chinese_word_starts

pytest.importorskip("rjieba")

PIECES = [
    "[UNK]",
    "he",
    "go",
    "##es",
    "##ing",
    "20",
    "##19",
    "ok",
    "t",
    ",",
    "。",
    "，",
    *"我爱北京天安门愛北門恤和卡拉年很高兴興野家說中文",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def cut(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words of `text` as the tokens that make them, joined."""
    encoding = tokenizer.encode(text)
    whole = np.array([not token.startswith("##") for token in encoding.tokens], dtype=bool)
    found: list[str] = []
    for (start, end), starts in zip(encoding.offsets, chinese_word_starts(text, encoding.offsets, whole), strict=True):
        if starts:
            found.append("")
        found[-1] += text[start:end]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我爱北京天安门。", "我 爱 北京 天安门 。"),
        ("測試繁體中文，北京", "測試 繁體 中文 ， 北京"),
        ("he goes 北京, going 天安门", "he goes 北京 , going 天安门"),
        ("2019年我很高兴", "2019 年 我 很 高兴"),
        ("我Gôes北京", "我 Gôes 北京"),  # letter case and accents are the text's, the token's are not
        ("T恤和卡拉OK", "T恤 和 卡拉 OK"),
        ("京\x01 天安门", "京 天安门"),  # what the normalizer drops shifts nothing
        ("說\U00020bb7野家", "說 \U00020bb7 野家"),
        ("", ""),
        (" ", ""),
    ],
)
def test_words(tokenizer: Tokenizer, text: str, expected: str) -> None:
    assert cut(tokenizer, text) == expected.split()


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("我爱北京天安门 gesin,20e\u0301é\x01\t。T恤"), max_size=30))
def test_words_of_letters_are_never_cut_and_the_first_token_starts_one(tokenizer: Tokenizer, text: str) -> None:
    encoding = tokenizer.encode(text)
    whole = np.array([not token.startswith("##") for token in encoding.tokens], dtype=bool)
    starts = chinese_word_starts(text, encoding.offsets, whole)
    assert starts[:1].all()
    for i, (token, (begin, _)) in enumerate(zip(encoding.tokens, encoding.offsets, strict=True)):
        if token.startswith("##"):
            assert not starts[i]
        elif not words.is_chinese(text[begin]):
            assert starts[i]


def test_a_missing_segmenter_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rjieba", None)
    with pytest.raises(HostError, match=r'(?s)rjieba.*pip install "bertkit\[zh\]"'):
        words.load_segmenter()


def test_a_segmenter_that_loses_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "load_segmenter", lambda: lambda text: [text[1:]])
    with pytest.raises(IntegrityError, match="does not give back"):
        chinese_word_starts("北京", [(0, 1), (1, 2)], np.ones(2, dtype=bool))
