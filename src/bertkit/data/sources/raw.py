"""A document before cleaning, and the tally of what became of every document."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from bertkit.errors import DataError

OnBadUtf8 = Literal["stop", "replace"]

BAD_UTF8 = "bad UTF-8 replaced"
BYTE_ORDER_MARK = "byte order mark removed"
NULL = "null instead of text"

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A text as it was found; `where` is a place a person can open, such as `file:line`."""

    id: str
    text: str
    where: str


@dataclass(slots=True)
class Tally:
    """What was read, kept and dropped: `read == kept + sum(dropped)` when a build has ended.

    `dropped` and `changed` count documents by reason (byte order marks: files; bad UTF-8: lines); `documents`,
    `sentences` and `characters` count by split.
    """

    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    sentences: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> int:
        return self.documents.total()

    def drop(self, reason: str) -> None:
        """Count a document that was read and goes no further."""
        self.read += 1
        self.dropped[reason] += 1

    def as_json(self) -> dict[str, Any]:
        """The counts as plain JSON, always in the same order."""
        return {
            "read": self.read,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "changed": dict(sorted(self.changed.items())),
            **{
                name: {split: getattr(self, name)[split] for split in ("train", "heldout")}
                for name in ("documents", "sentences", "characters")
            },
        }


def decode(content: bytes, *, where: str, offset: int, on_bad_utf8: OnBadUtf8, tally: Tally) -> str:
    """`content` as UTF-8; `offset` is the place of its first byte in the file, or in the row for a table.

    Raises:
        DataError: it is not UTF-8 and `on_bad_utf8` is `stop`.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as e:
        if on_bad_utf8 == "stop":
            raise DataError(
                f"not UTF-8: byte 0x{content[e.start]:02x} at byte {offset + e.start:,} ({e.reason})",
                where=where,
                remedy=_encoding_advice(content, offset),
            ) from None
        tally.changed[BAD_UTF8] += 1
        return content.decode(errors="replace")


def well_formed(text: str, *, where: str, on_bad_utf8: OnBadUtf8, tally: Tally) -> str:
    """`text` without lone surrogates, which JSON's `\\ud800` can make and no UTF-8 file can hold.

    Raises:
        DataError: there is one and `on_bad_utf8` is `stop`.
    """
    bad = None if text.isascii() else _SURROGATE.search(text)
    if bad is None:
        return text
    if on_bad_utf8 == "stop":
        raise DataError(
            f"half a character: the lone surrogate \\u{ord(bad[0]):04x} at character {bad.start():,} of the text",
            where=where,
            remedy="Repair the file, or set on_bad_utf8=replace to put U+FFFD in its place and count it.",
        )
    tally.changed[BAD_UTF8] += 1
    return _SURROGATE.sub("\ufffd", text)


def _encoding_advice(content: bytes, offset: int) -> str:
    replace = "or set on_bad_utf8=replace to put U+FFFD in its place and count it"
    if offset == 0 and content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return f"It looks like UTF-16. Convert it (iconv -f UTF-16 -t UTF-8), {replace}."
    if offset == 0 and (content[:2] == b"\x1f\x8b" or content[:3] == b"BZh"):
        return "It looks compressed. Give the file the ending .gz or .bz2."
    return f"Convert the file (for example iconv -f WINDOWS-1252 -t UTF-8), {replace}."
