"""What a card gives a model to read, in English or Chinese."""

from collections.abc import Mapping
from typing import Any

_TEXT = {False: "A text to classify.", True: "这是一段要分类的文字。"}
_PAIR = {False: ("A first text.", "A second text."), True: ("这是第一段文字。", "这是第二段文字。")}
_SENTENCE = {False: "Ada Lovelace met Charles Babbage in London.", True: "李白和杜甫在洛阳相遇。"}
_QUESTION = {False: "Where did they meet?", True: "他们在哪里相遇？"}
_MASKED = {False: "The capital of France is {mask}.", True: "巴黎是法国的首{mask}。"}
_HAN = ("\u3400", "\u9fff")


def is_chinese(entries: Mapping[str, int]) -> bool:
    """Whether a quarter of a vocabulary or more is written in Chinese characters."""
    return sum(any(_HAN[0] <= c <= _HAN[1] for c in entry) for entry in entries) * 4 >= len(entries) > 0


def texts(predictor: Mapping[str, Any] | None, *, chinese: bool, mask: str = "[MASK]") -> tuple[str, ...]:
    """The texts of one input: a sentence, a pair, or a question and its context; one with a gap for a pretrained model."""
    if predictor is None:
        return (_MASKED[chinese].format(mask=mask),)
    if predictor["kind"] == "spans":
        return _QUESTION[chinese], _SENTENCE[chinese]
    if predictor["kind"] == "tagging":
        return (_SENTENCE[chinese],)
    return _PAIR[chinese] if len(predictor.get("text_columns", ())) > 1 else (_TEXT[chinese],)


def call(predictor: Mapping[str, Any] | None, given: tuple[str, ...]) -> str:
    """How a loaded model is asked, as Python."""
    if predictor is None:
        return f'model.fill("{given[0]}")'
    if predictor["kind"] == "spans":
        return f'model.predict([{{"question": "{given[0]}", "context": "{given[1]}"}}])'
    one = f'"{given[0]}"' if len(given) == 1 else '["' + '", "'.join(given) + '"]'
    return f"model.predict([{one}])"
