"""Where words start in Chinese text, which writes no spaces between them: by the segmenter `rjieba`."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bertkit.errors import HostError, IntegrityError

# What BERT takes for a Chinese character and makes a word of its own (`_is_chinese_char` in Google's tokenizer).
_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def is_chinese(character: str) -> bool:
    """Whether BERT makes this character a word of its own."""
    code = ord(character)
    return any(first <= code <= last for first, last in _CHINESE)


def load_segmenter() -> Callable[[str], list[str]]:
    """`rjieba.cut`: a text to its words, spaces and punctuation among them.

    Raises:
        HostError: it is not installed.
    """
    try:
        import rjieba
    except ImportError:
        raise HostError("the word segmenter rjieba is not installed", remedy='pip install "bertkit[zh]"') from None
    cut: Callable[[str], list[str]] = rjieba.cut
    return cut


def chinese_word_starts(text: str, offsets: list[tuple[int, int]], whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which tokens of `text` start a word, shape (tokens,).

    A token that begins with a Chinese character starts a word where the segmenter does. Any other starts one unless it
    goes on with a written word (a `##` piece): English words, numbers and punctuation stay as they are written. So
    in a word of both, such as T恤, the Chinese character follows the letter.

    Args:
        offsets: of each token, in characters of `text`.
        whole: of each token, whether its piece stands at the start of a written word.

    Raises:
        HostError: rjieba is not installed.
        IntegrityError: the segmenter lost characters.
    """
    words = load_segmenter()(text)
    if sum(map(len, words)) != len(text):
        raise IntegrityError(f"rjieba does not give back the text {text[:80]!r}")
    begins = np.zeros(len(text) + 1, dtype=np.bool_)
    begins[np.cumsum([0, *map(len, words)])] = True
    first = np.fromiter((start for start, _ in offsets), dtype=np.int64, count=len(offsets))
    chinese = np.fromiter((is_chinese(text[start]) for start in first), dtype=np.bool_, count=len(offsets))
    starts: NDArray[np.bool_] = np.where(chinese, begins[first], whole)
    starts[:1] = True
    return starts
