"""Paragraphs to sentences: English with the `sentencex` library's rules, Chinese with our own."""

from collections.abc import Iterator

import sentencex

from bertkit.text.chinese_sentences import pieces

LANGUAGES = ("en", "zh")

# The splitter's time grows with the square of the quotation marks in a paragraph, so a long one is read in windows;
# a sentence that fills a whole window is cut.
WINDOW = 20_000


def split(text: str, language: str) -> list[str]:
    """The sentences of `text`, stripped; a line end always ends a sentence.

    Quoted speech stays one sentence with what is quoted: `"你好。走吧。"` is not cut inside the quotation marks.

    Args:
        text: well-formed Unicode (no lone surrogates); see `bertkit.text.cleaning.clean`.
        language: one of `LANGUAGES`.
    """
    return split_counting(text, language)[0]


def split_counting(text: str, language: str) -> tuple[list[str], int]:
    """`split(text, language)`, and how many times a sentence had to be cut for its length."""
    sentences: list[str] = []
    cuts = 0
    for paragraph in text.split("\n"):
        if len(paragraph) <= WINDOW:
            sentences += _segment(paragraph, language)
        else:
            for sentence, cut in _segment_long(paragraph, language):
                sentences.append(sentence)
                cuts += cut
    return sentences, cuts


def _segment(paragraph: str, language: str) -> list[str]:
    stripped = (sentence.strip() for sentence in _whole(paragraph, language))
    return [sentence for sentence in stripped if sentence]


def _whole(paragraph: str, language: str) -> list[str]:
    """The sentences with the white space between them."""
    if language == "zh":
        return pieces(paragraph)
    # `segment` takes the language first and answers nonsense, not an error, when the two are swapped.
    sentences: list[str] = sentencex.segment(language, paragraph)
    return sentences


def _segment_long(paragraph: str, language: str) -> Iterator[tuple[str, bool]]:
    """Each sentence with whether it was cut: whole sentences of a window leave, the last one joins the next window."""
    start = 0
    while len(paragraph) - start > WINDOW:
        window = paragraph[start : start + WINDOW]
        last = _whole(window, language)[-1]
        cut = len(last) >= len(window.rstrip())
        # Cut between words where there are any.
        end = (window.rfind(" ", WINDOW // 2) + 1 or WINDOW) if cut else window.rindex(last)
        if cut:
            yield window[:end].strip(), True
        else:
            yield from ((sentence, False) for sentence in _segment(window[:end], language))
        start += end
    yield from ((sentence, False) for sentence in _segment(paragraph[start:], language))
