"""Documents to parquet shards of bounded size, and which of them are held out."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from bertkit import storage

Split = Literal["train", "heldout"]
PREFIX: dict[Split, str] = {"train": "documents", "heldout": "heldout"}

# A shard is full at this many characters of text; readers take shards one at a time.
SHARD_CHARACTERS = 64_000_000
# A row group is what a reader has in memory at once.
GROUP_CHARACTERS = 1_000_000
# With fewer documents than this, none is held out: one would be too much to lose and too little to measure on.
HOLDOUT_FROM = 20

_SCHEMA = pa.schema([("id", pa.string()), ("sentences", pa.list_(pa.string()))])
_HELDOUT_SEED = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A cleaned document; `digest` is the 128-bit xxHash of its text."""

    id: str
    sentences: list[str]
    digest: int

    @property
    def characters(self) -> int:
        return sum(map(len, self.sentences))


class ShardWriter:
    """Writes `<prefix>-00000.parquet`, `-00001`, ...; none appears before it is whole."""

    def __init__(self, out: Path, prefix: str, *, shard_characters: int = SHARD_CHARACTERS) -> None:
        self._out, self._prefix, self._shard_characters = out, prefix, shard_characters
        self._shards = 0
        self._in_shard = 0
        self._group: list[Document] = []
        self._in_group = 0
        self._open = ExitStack()
        self._writer: Any = None

    def write(self, document: Document) -> None:
        self._group.append(document)
        self._in_group += document.characters
        if self._in_group >= GROUP_CHARACTERS:
            self._write_group()
        if self._in_shard >= self._shard_characters:
            self._close_shard()

    def _write_group(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            path = self._out / f"{self._prefix}-{self._shards:05d}.parquet"
            file = self._open.enter_context(storage.atomic_file(path))
            self._writer = self._open.enter_context(pq.ParquetWriter(file, _SCHEMA, compression="zstd"))
        columns = [[d.id for d in self._group], [d.sentences for d in self._group]]
        self._writer.write_table(pa.table(columns, schema=_SCHEMA))
        self._in_shard += self._in_group
        self._group, self._in_group = [], 0

    def _close_shard(self) -> None:
        if self._writer is not None:
            self._open.close()
            self._writer = None
            self._shards += 1
        self._in_shard = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write_group()
            self._close_shard()
        else:
            # The open shard's temporary file is taken away.
            self._open.__exit__(kind, error, trace)


class Holdout:
    """Sends each document to a split by its content, in the order of arrival where it can.

    A document is held out when its draw, a hash of its text, is below the percentage. Of `HOLDOUT_FROM` documents
    or more at least one is: as long as there is none, the document with the lowest draw waits.
    """

    def __init__(self, percentage: float) -> None:
        self._threshold = percentage / 100
        self._first: list[Document] | None = []
        self._waiting: Document | None = None
        self._certain = percentage == 0

    def add(self, document: Document) -> list[tuple[Split, Document]]:
        """The documents whose split is known now."""
        if self._first is None:
            return self._deal(document)
        self._first.append(document)
        if len(self._first) < HOLDOUT_FROM:
            return []
        first, self._first = self._first, None
        return [dealt for one in first for dealt in self._deal(one)]

    def end(self) -> list[tuple[Split, Document]]:
        """The documents that waited for more to come."""
        if self._first is not None:
            return [("train", document) for document in self._first]
        return [("heldout", self._waiting)] if self._waiting else []

    def _deal(self, document: Document) -> list[tuple[Split, Document]]:
        if _draw(document) < self._threshold:
            released: list[tuple[Split, Document]] = [("train", self._waiting)] if self._waiting else []
            self._waiting, self._certain = None, True
            return [*released, ("heldout", document)]
        if self._certain:
            return [("train", document)]
        if self._waiting is None:
            self._waiting = document
            return []
        low, high = sorted((self._waiting, document), key=_draw)
        self._waiting = low
        return [("train", high)]


def _draw(document: Document) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return xxhash.xxh3_64_intdigest(document.digest.to_bytes(16), seed=_HELDOUT_SEED) / 2**64
