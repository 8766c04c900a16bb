"""Proper names in English news by their capitals: what the quickstart's tasks *names* and *cloze* are made from."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bertkit.text.sentences import split

NOT_ONE_CASE = "mostly capitals or none"
OPENED_BY_NAME = "may open with a name"

_TOKEN = re.compile(r"['’]s\b|\w+(?:(?!['’]s\b)[-.'’&/]\w+)*|[^\w\s]")
# After these a capital is no sign of a name: what follows opens a sentence of its own.
_OPENING = frozenset("\"'“‘:.!?-–—(;*")
_PRONOUN = re.compile(r"I(?:['’](?:m|ve|ll|d))?")


@dataclass(frozen=True, slots=True)
class Capitals:
    """A sentence's tokens by their places in it, and the runs of capitalised ones that open nothing, `[first, last)`."""

    text: str
    places: list[tuple[int, int]]
    runs: list[tuple[int, int]]

    @property
    def tokens(self) -> list[str]:
        return [self.text[start:end] for start, end in self.places]

    @property
    def names(self) -> list[str]:
        """The runs as they are written."""
        return [self.text[self.places[first][0] : self.places[last - 1][1]] for first, last in self.runs]


def capitals(sentence: str, *, opening: bool = False) -> Capitals:
    """The maximal runs of capitalised words of a sentence that do not open it, nor a sentence quoted in it.

    With `opening`, those that do as well.
    """
    places = [found.span() for found in _TOKEN.finditer(sentence)]
    tokens = [sentence[start:end] for start, end in places]
    runs: list[tuple[int, int]] = []
    first: int | None = None
    for i, token in enumerate([*tokens, ""]):
        named = token[:1].isupper() and not _PRONOUN.fullmatch(token)
        if named and first is None:
            first = i
        elif not named and first is not None:
            if opening or not _opens(tokens, first):
                runs.append((first, i))
            first = None
    return Capitals(sentence, places, runs)


def sentences(paragraphs: Iterable[str]) -> tuple[list[Capitals], list[str]]:
    """The sentences of an article in which every name can be told by its capital, and why each other one was left out.

    Left out are those in which more than half of the words are capitalised, and those that may open with a name: two
    capitalised words, or one that is capitalised within some other sentence of the article.
    """
    found = [capitals(sentence) for paragraph in paragraphs for sentence in split(paragraph, "en")]
    within = {one.tokens[i] for one in found for first, last in one.runs for i in range(first, last)}
    kept, dropped = [], []
    for one in found:
        tokens = one.tokens
        words = [token for token in tokens if token[0].isalpha()]
        if len(words) < 3 or sum(word[0].isupper() for word in words) * 2 > len(words) or not _keeps_places(one.text):
            dropped.append(NOT_ONE_CASE)
        elif any(_may_be_name(tokens, i, within) for i in range(len(tokens)) if _opens(tokens, i)):
            dropped.append(OPENED_BY_NAME)
        else:
            kept.append(one)
    return kept, dropped


def _opens(tokens: Sequence[str], i: int) -> bool:
    """Whether the word `i` is the first of the sentence, or of one quoted in it."""
    return i == 0 or tokens[i - 1] in _OPENING


def _may_be_name(tokens: Sequence[str], i: int, within: set[str]) -> bool:
    """Whether the opening word `i` is a name as far as capitals can tell: they cannot, so such sentences are not used."""
    word, following = tokens[i], tokens[i + 1 : i + 2]
    if not word[0].isupper() or _PRONOUN.fullmatch(word):
        return False
    return word in within or any(token[0].isupper() and not _PRONOUN.fullmatch(token) for token in following)


def _keeps_places(text: str) -> bool:
    """Whether lower case has as many characters."""
    return len(text.lower()) == len(text)
