"""Column files: a token a line with its tag in another column, a blank line after each sentence."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bertkit.data.tables.lines import Lines, without_line_end
from bertkit.data.tables.rows import NOT_UTF8, BadRow, Row
from bertkit.errors import DataError, HostError

DOCUMENT = "-DOCSTART-"
COLUMNS_DIFFER = "number of columns differs"
NO_TAG = "no tag column"
CARRIAGE_RETURN = "carriage return within a line"

_RANGE = re.compile(r"[0-9]+[-.][0-9]+\t")
_SPACES = re.compile(r"[ \t]+")


class _GzipLines(Lines):
    """The lines of a gzip file.

    Raises:
        DataError: it is none, or it is damaged.
    """

    def __iter__(self) -> Iterator[str]:
        try:
            yield from super().__iter__()
        except (EOFError, zlib.error, HostError) as e:
            # BadGzipFile is an OSError, though no system call made it.
            cause = e.__cause__ if isinstance(e, HostError) else e
            if not isinstance(cause, EOFError | zlib.error | gzip.BadGzipFile):
                raise
            remedy = "Copy or download it again; a file that is not compressed has a name without .gz."
            raise DataError(f"cannot be unpacked: {cause}", where=str(self.path), remedy=remedy) from None

    def _open(self) -> BinaryIO:
        # Buffered once more: the lines of a gzip file are found in Python, one by one.
        return io.BufferedReader(gzip.open(self.path, "rb"))


def read_conll(path: Path, *, token: int = 1, tag: int | None = None, comments: bool = False) -> Iterator[Row | BadRow]:
    """Each sentence as a row with `tokens`, `tags` and `lines` (the number of each one's), numbered by its first line.

    Args:
        token: which column has the tokens, from 1.
        tag: which has the tags; by default the last.
        comments: whether lines before a sentence that begin with `#` are none of its tokens, and left out.

    Columns are parted by tabs where a line has one, else by spaces. Left out are `-DOCSTART-` lines and, of the ten columns
    of CoNLL-U, those of several tokens (`1-2`) and of what was not said (`1.1`). A sentence with a line that cannot be read
    is a `BadRow`.
    """
    lines = _GzipLines(path) if path.suffix == ".gz" else Lines(path)
    block: list[tuple[int, str]] = []
    problem: BadRow | None = None
    for line in lines:
        text = without_line_end(line)
        if comments and not block and text.startswith("#"):
            continue
        if error := lines.bad_bytes(text):
            problem = problem or BadRow(lines.number, NOT_UTF8, error)
        elif "\r" in text.rstrip("\r"):
            problem = problem or _carriage_return(lines)
        if text.strip(" \t\r"):
            block.append((lines.number, text))
            continue
        yield from _sentence(block, problem, lines, token, tag)
        block, problem = [], None
    yield from _sentence(block, problem, lines, token, tag)


def _sentence(
    block: list[tuple[int, str]], problem: BadRow | None, lines: Lines, token: int, tag: int | None
) -> Iterator[Row | BadRow]:
    block = [(number, text) for number, text in block if not (text.startswith(DOCUMENT) or _is_no_token(text))]
    if not block:
        return
    if problem is not None:
        yield problem
        return
    first = block[0][0]
    cells = [_cells(text) for _, text in block]
    width = len(cells[0])
    wanted = max(token, tag or 2)
    for (number, text), row in zip(block, cells, strict=True):
        if len(row) != width or len(row) < wanted:
            where = lines.where(number)
            if len(row) < wanted:
                what = f"has {len(row)} columns, and column {wanted} is asked for: {text[:60]!r}"
                remedy = f"Set source.columns.token and .tag.{_comments(block)}"
                yield BadRow(first, NO_TAG, DataError(what, where=where, remedy=remedy))
            else:
                what = f"has {len(row)} columns, the sentence's first line {width}: {text[:60]!r}"
                remedy = f"Every line needs all columns.{_comments(block)}"
                yield BadRow(first, COLUMNS_DIFFER, DataError(what, where=where, remedy=remedy))
            return
    tags = [row[-1 if tag is None else tag - 1] for row in cells]
    values = {"tokens": [row[token - 1] for row in cells], "tags": tags, "lines": [number for number, _ in block]}
    yield Row(first, lines.where(first), values)


def _carriage_return(lines: Lines) -> BadRow:
    # Where they alone end lines, a whole file would be one line, and that one token.
    remedy = "Let lines end with line feeds: tr '\\r' '\\n' < FILE > NEW."
    error = DataError("a carriage return stands within the line", where=lines.where(lines.number), remedy=remedy)
    return BadRow(lines.number, CARRIAGE_RETURN, error)


def _is_no_token(text: str) -> bool:
    return _RANGE.match(text) is not None and text.count("\t") == 9


def _comments(block: list[tuple[int, str]]) -> str:
    commented = block[0][1].startswith("#")
    return " Lines of comment are left out with source.comments=true." if commented else ""


def _cells(text: str) -> list[str]:
    # Not str.split(): an ideographic space is a token like any other.
    if "\t" in text.strip("\t\r"):
        return text.rstrip("\r").split("\t")
    cells = text.split(" ")
    return cells if "" not in cells and "\t" not in text and "\r" not in text else _SPACES.split(text.strip(" \t\r"))
