"""Words of plain text, each with its place: what a tag is said of."""

import re
import unicodedata

# As most tagged corpora part words: runs of letters and digits with inner signs, "'s" and each other sign by itself.
# Accents that stand by themselves and joiners belong to the letter before them.
_LETTERS = r"\w[\w\u0300-\u036f\u200c\u200d]*"
_WORDS = re.compile(rf"['’]s\b|{_LETTERS}(?:(?!['’]s\b)[-.'’&/]{_LETTERS})*|[^\w\s]")


def word_places(text: str) -> list[tuple[int, int]]:
    """Where words begin and end, in characters; East Asian characters stand by themselves."""
    return [place for found in _WORDS.finditer(text) for place in _single_wide(text, *found.span())]


def token_places(text: str, units: str) -> list[tuple[int, int]]:
    """Where the tokens of a text to tag begin and end: `word_places`, or, where `units` are `characters`, each of them."""
    if units == "characters":
        return [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]
    return word_places(text)


def _single_wide(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """A match, with East Asian characters each by itself."""
    if text[start:end].isascii():
        return [(start, end)]
    places: list[tuple[int, int]] = []
    for i in range(start, end):
        wide = unicodedata.east_asian_width(text[i]) in ("W", "F")
        if wide or not places or places[-1][1] != i or unicodedata.east_asian_width(text[i - 1]) in ("W", "F"):
            places.append((i, i + 1))
        else:
            places[-1] = (places[-1][0], i + 1)
    return places
