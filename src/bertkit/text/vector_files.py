"""Word vectors of others: word2vec's text and binary files, and GloVe's text files, which have no header."""

import bz2
import gzip
import logging
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import whitespace
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from bertkit import storage
from bertkit.errors import DataError

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
_WIDEST = 1_000_000
# GloVe is published as zip, vectors of Chinese words as bz2.
_ZIP = b"PK\x03\x04"
_PACKED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}


@dataclass(frozen=True, slots=True)
class Vectors:
    """`values[i]`, of shape (words, width), is the vector of `words[i]`."""

    words: list[str]
    values: Floats


def read_vectors(path: Path, wanted: Collection[str] | None = None) -> Vectors:
    """The vectors of the `wanted` words, or of all, in the file's order; memory follows what is wanted.

    A first line of two whole numbers is a header: word2vec's. Of a word that stands there twice the first counts, as
    in gensim. Files packed by gzip or bzip2 are read as they are.

    Raises:
        DataError: there is no such file, it holds no vectors, a line does not hold a word and as many numbers as the
            others, or there are more or fewer words than the header promises.
    """
    try:
        with _open(path) as file:
            begin = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
            file.seek(begin)
            header = file.readline()
            found = _header(header)
            if found is None:
                file.seek(begin)
                return _collect(_lines(file, path, len(header.split()) - 1, 1), path, wanted)
            count, width = found
            if not 1 <= width <= _WIDEST:
                raise DataError(f"promises vectors of {width} numbers", where=f"{path}:1")
            if _is_binary(file, width):
                return _collect(_binary(file, path, count, width), path, wanted)
            _check_width(file, path, width)
            return _collect(_lines(file, path, width, 2), path, wanted, promised=count)
    except (OSError, EOFError, zlib.error) as e:
        raise DataError(getattr(e, "strerror", None) or str(e), where=str(path)) from None


def write_vectors(path: Path, vectors: Vectors, *, binary: bool) -> None:
    """Write word2vec's text or binary file, which gensim reads, float for float.

    Raises:
        DataError: a word is empty or holds ASCII white space, which the formats cannot say.
    """
    bad = next((word for word in vectors.words if not word or any(letter in whitespace for letter in word)), None)
    if bad is not None:
        raise DataError(f"the word {bad!r} cannot stand in a word2vec file", where=str(path))
    with storage.atomic_file(path) as file:
        file.write(f"{len(vectors.words)} {vectors.values.shape[1]}\n".encode())
        for word, values in zip(vectors.words, vectors.values, strict=True):
            if binary:
                file.write(word.encode() + b" " + values.astype("<f4").tobytes())
            else:
                file.write(f"{word} {' '.join(map(str, values))}\n".encode())


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        begin = file.read(4)
    if begin == _ZIP:
        raise DataError("is a zip archive", where=str(path), remedy="Unpack it, and name the file of vectors in it.")
    opener = next((opener for magic, opener in _PACKED.items() if begin.startswith(magic)), None)
    return path.open("rb") if opener is None else cast(BinaryIO, opener(path))


def _header(line: bytes) -> tuple[int, int] | None:
    parts = line.split()
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(part.isdigit() for part in parts) else None


def _is_binary(file: BinaryIO, width: int) -> bool:
    """Whether what follows the header is no line of text with `width` numbers; the file stands where it stood."""
    place = file.tell()
    line = file.readline(64 * (width + 1) + 1024)
    file.seek(place)
    try:
        return len(np.array(line.rsplit(maxsplit=width)[1:], dtype=np.float64)) != width
    except ValueError:
        return True


def _check_width(file: BinaryIO, path: Path, width: int) -> None:
    """Refuse a header that promises fewer numbers than the first line holds; the file stands where it stood.

    Read from the right, that line would make a word of its first number too.
    """
    place = file.tell()
    over = file.readline().split()[1:-width]
    file.seek(place)
    if over and all(map(_is_number, over)):
        found = len(over) + width
        raise DataError(f"has {found} numbers after the word, and the header promises {width}", where=f"{path}:2")


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(file: BinaryIO, path: Path, width: int, first: int) -> Iterator[tuple[str, Floats]]:
    for number, line in enumerate(file, first):
        where = f"{path}:{number}"
        # From the right: some words of GloVe's hold spaces.
        word, *numbers = line.lstrip().rsplit(maxsplit=width) or [b""]
        if line[:1].isspace() and len(numbers) == width - 1:
            raise DataError("has an empty word", where=where)
        if len(numbers) != width or width < 1:
            raise DataError(f"has {len(numbers)} numbers after the word, not {width}", where=where)
        try:
            values = np.array(numbers, dtype=np.float32)
        except ValueError as e:
            raise DataError(f"is not a word and {width} numbers: {e}", where=where) from None
        yield _checked(word, values, where)


def _binary(file: BinaryIO, path: Path, count: int, width: int) -> Iterator[tuple[str, Floats]]:
    for number in range(1, count + 1):
        word = bytearray()
        while (letter := file.read(1)) not in (b" ", b""):
            if letter != b"\n":  # Google's tool ends vectors with one, gensim does not
                word += letter
        content = file.read(4 * width)
        where = f"{path}, word {number}"
        if len(content) != 4 * width:
            raise DataError(
                f"ends here, and its header promises {count} words",
                where=where,
                remedy=f"It was read as binary, for its second line is not a word and {width} numbers.",
            )
        yield _checked(bytes(word), np.frombuffer(content, dtype="<f4").astype(np.float32), where)
    if file.read(2).strip():
        raise DataError(f"goes on after the {count} words that its header promises", where=str(path))


def _checked(word: bytes, values: Floats, where: str) -> tuple[str, Floats]:
    try:
        text = word.decode()
    except UnicodeDecodeError:
        # Google's tool cuts long words anywhere.
        remedy = 'gensim can write it anew: load_word2vec_format(..., unicode_errors="replace"), save_word2vec_format.'
        raise DataError(f"has a word that is not UTF-8: {word[:40]!r}", where=where, remedy=remedy) from None
    if not text.strip(whitespace):
        raise DataError("has an empty word", where=where)
    if not np.isfinite(values).all():
        raise DataError(f"has a number that is not finite, of the word {text!r}", where=where)
    return text, values


def _collect(
    entries: Iterator[tuple[str, Floats]], path: Path, wanted: Collection[str] | None, *, promised: int | None = None
) -> Vectors:
    found: dict[str, Floats] = {}
    width = count = repeated = 0
    for word, values in entries:
        count, width = count + 1, len(values)
        if word in found:
            repeated += 1
        elif wanted is None or word in wanted:
            found[word] = values
    if not count:
        raise DataError("holds no vectors", where=str(path))
    if promised not in (None, count):
        raise DataError(f"holds {count} words, and its header promises {promised}", where=str(path))
    if repeated:
        log.warning("%s: %d words stand there again, and the first of each counts", path, repeated)
    return Vectors(list(found), np.stack(list(found.values())) if found else np.zeros((0, width), np.float32))
