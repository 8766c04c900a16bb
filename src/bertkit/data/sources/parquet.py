"""A text column of parquet files to raw documents."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bertkit import storage
from bertkit.data.sources.files import names
from bertkit.data.sources.raw import NULL, OnBadUtf8, RawDocument, Tally, decode
from bertkit.errors import DataError, did_you_mean


def read_parquet(
    files: Sequence[Path], *, tally: Tally, column: str = "text", on_bad_utf8: OnBadUtf8 = "stop"
) -> Iterator[RawDocument]:
    """Documents of parquet files: `column` of each row is one; null is counted as dropped.

    Raises:
        DataError: a file that is not parquet, or has no such column of text.
    """
    for path, name in zip(files, names(files), strict=True):
        for row, content in enumerate(_values(path, column), start=1):
            if content is None:
                tally.drop(NULL)
                continue
            where = f"{path}: row {row}"
            text = decode(content, where=where, offset=0, on_bad_utf8=on_bad_utf8, tally=tally)
            yield RawDocument(f"{name}:{row}", text, where)


def _values(path: Path, column: str) -> Iterator[bytes | None]:
    with storage.reporting_os_errors(path, "read"):
        try:
            with pq.ParquetFile(path) as file:
                _check_column(file.schema_arrow, column, path)
                for batch in file.iter_batches(batch_size=64, columns=[column]):
                    # As bytes: parquet's writers do not check that text is UTF-8, and we want to say which row is not.
                    yield from batch[0].cast(pa.large_binary()).to_pylist()
        except pa.ArrowException as e:
            raise DataError(f"cannot be read as parquet: {str(e).splitlines()[0]}", where=str(path)) from None


def _check_column(schema: Any, column: str, path: Path) -> None:
    if column not in schema.names:
        guess = did_you_mean(column, schema.names) or f"; it has {', '.join(map(repr, schema.names))}"
        raise DataError(
            f"has no column {column!r}{guess}", where=str(path), remedy="Set source.column to the column with text."
        )
    kind = schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise DataError(f"the column {column!r} holds {kind}, not text", where=str(path))
