"""Test sets of word vectors: word pairs with human scores, and analogies."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bertkit.errors import DataError


@dataclass(frozen=True, slots=True)
class Pair:
    """How alike people find two words."""

    id: str
    first: str
    second: str
    score: float


@dataclass(frozen=True, slots=True)
class Analogy:
    """`a` is to `b` as `c` is to `d`, in a `section` of the file."""

    id: str
    section: str
    a: str
    b: str
    c: str
    d: str


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a file with two words and a number a line, separated by tabs; lines that begin with # are comments.

    Raises:
        DataError: there is no such file, a line holds something else, or there are no pairs.
    """
    pairs = []
    for number, line in _lines(path):
        if line.startswith("#"):
            continue
        where, fields = f"{path}:{number}", [field.strip() for field in line.split("\t")]
        if len(fields) < 3 or not all(fields[:2]):
            raise DataError(f"is not two words and a number with tabs between them: {line[:80]!r}", where=where)
        score = _number(fields[2])
        if score is None:
            raise DataError(f"has no number in its third column: {fields[2][:40]!r}", where=where)
        pairs.append(Pair(f"{path.name}:{number}", fields[0], fields[1], score))
    if not pairs:
        raise DataError("holds no pairs of words", where=str(path))
    return pairs


def read_analogies(path: Path) -> list[Analogy]:
    """The questions of a file with four words a line, under headings such as `: capitals`.

    Raises:
        DataError: there is no such file, a line holds something else, or there are no questions.
    """
    questions, section = [], path.stem
    for number, line in _lines(path):
        if line.startswith(":"):
            section = line[1:].strip()
            continue
        words = line.split()
        if len(words) != 4:
            raise DataError(f"has {len(words)} words, an analogy has four: {line[:80]!r}", where=f"{path}:{number}")
        questions.append(Analogy(f"{path.name}:{number}", section, *words))
    if not questions:
        raise DataError("holds no analogies", where=str(path))
    return questions


def holds_analogies(path: Path) -> bool:
    """Whether the first line is a heading, as files of analogies have it."""
    _, line = next(_lines(path), (0, ""))
    return line.startswith(":")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, numbered from 1."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except OSError as e:
        raise DataError(e.strerror or str(e), where=str(path)) from None
    except UnicodeDecodeError as e:
        raise DataError(f"is not UTF-8: {e}", where=str(path)) from None
