"""Physical lines of a text file, with their numbers, that keep track of bytes which are not text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from bertkit import storage
from bertkit.data.tables.rows import BLANK_LINE, NOT_UTF8, BadRow, Row
from bertkit.errors import DataError

# Encodings in which a line feed byte is always a line feed.
Encoding = Literal["utf-8", "latin-1", "cp1252", "gb18030"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _RawLine:
    number: int
    offset: int
    content: bytes


class Lines:
    """The lines of a file, with their line ends; `number` is that of the line given last, from 1.

    Bytes that the encoding does not know come through as lone surrogates, so that one bad line does not hide the
    next; `bad_bytes` names them. A byte order mark at the start is left out.
    """

    def __init__(self, path: Path, encoding: Encoding = "utf-8") -> None:
        self.path, self.encoding, self.number = path, encoding, 0
        self._recent: list[_RawLine] = []

    def __iter__(self) -> Iterator[str]:
        offset = 0
        with storage.reporting_os_errors(self.path, "read"), self._open() as file:
            for number, content in enumerate(file, start=1):
                size = len(content)
                if number == 1:
                    self._refuse_utf16(content)
                    if self.encoding == "utf-8" and content.startswith(_BYTE_ORDER_MARK):
                        content = content.removeprefix(_BYTE_ORDER_MARK)
                        offset, size = len(_BYTE_ORDER_MARK), len(content)
                self.number = number
                self._recent.append(_RawLine(number, offset, content))
                offset += size
                yield content.decode(self.encoding, errors="surrogateescape")

    def _open(self) -> BinaryIO:
        return self.path.open("rb")

    def where(self, number: int) -> str:
        """`file:line`."""
        return f"{self.path}:{number}"

    def bad_bytes(self, text: str) -> DataError | None:
        """What is wrong with the lines since the last call, if `text`, made of them, holds bytes that are no text."""
        recent, self._recent = self._recent, []
        if text.isascii() or not _SURROGATE.search(text):
            return None
        for line in recent:
            try:
                line.content.decode(self.encoding)
            except UnicodeDecodeError as e:
                name = "UTF-8" if self.encoding == "utf-8" else self.encoding
                return DataError(
                    f"not {name}: byte 0x{line.content[e.start]:02x} at byte {line.offset + e.start:,} of the file",
                    where=self.where(line.number),
                    remedy="Convert the file to UTF-8, or say what it is: source.encoding=gb18030, cp1252 or latin-1.",
                )
        return None

    def _refuse_utf16(self, content: bytes) -> None:
        if (name := _utf16(content)) is not None:
            remedy = f"Convert it to UTF-8: iconv -f {name} -t UTF-8."
            raise DataError("looks like UTF-16", where=str(self.path), remedy=remedy)


def _utf16(content: bytes) -> str | None:
    """The encoding, as iconv calls it, of a first line in UTF-16; None of others."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16"
    # Without a mark, every other byte of a line of ASCII is 0.
    first, second = content[0:8:2], content[1:8:2]
    if len(second) < 2:
        return None
    if all(first) and not any(second):
        return "UTF-16LE"
    return "UTF-16BE" if all(second) and not any(first) else None


def without_line_end(line: str) -> str:
    """`line` without its `\\n` or `\\r\\n`."""
    return line.removesuffix("\n").removesuffix("\r")


def usable_lines(lines: Lines) -> Iterator[str | BadRow]:
    """Each line without its end, or why it cannot be used; `lines.number` says which one it is."""
    for line in lines:
        text = without_line_end(line)
        if error := lines.bad_bytes(text):
            yield BadRow(lines.number, NOT_UTF8, error)
        elif not text:
            yield BadRow(lines.number, BLANK_LINE)
        else:
            yield text


def read_lines(path: Path, *, encoding: Encoding = "utf-8", values: dict[str, Any]) -> Iterator[Row | BadRow]:
    """Each line as a row whose `text` is the line, with `values` beside it."""
    lines = Lines(path, encoding)
    for text in usable_lines(lines):
        if isinstance(text, BadRow):
            yield text
        else:
            yield Row(lines.number, lines.where(lines.number), {"text": text, **values})
