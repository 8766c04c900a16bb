"""Parquet to rows, in bounded memory, values as their columns type them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertkit import storage
from bertkit.data.tables.rows import NOT_UTF8, BadRow, Columns, Row, find_columns
from bertkit.errors import DataError


def read_parquet(path: Path, *, columns: Columns) -> Iterator[Row | BadRow]:
    """The rows of a parquet file; `where` is `file: row N`, from 1.

    Raises:
        DataError: the file is not parquet, is damaged, or has no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with storage.reporting_os_errors(path, "read"), path.open("rb") as file:
        try:
            table = pq.ParquetFile(file)
            names = table.schema_arrow.names
            places = find_columns(columns, names, len(names), where=str(path))
            wanted = {role: names[place] for role, place in places.items()}
            for batch in table.iter_batches(columns=list(dict.fromkeys(wanted.values())), batch_size=1024):
                values = {role: _values(batch[name]) for role, name in wanted.items()}
                for i in range(batch.num_rows):
                    number += 1
                    yield _row(number, {role: column[i] for role, column in values.items()}, path)
        except (pa.ArrowException, OSError) as e:
            if isinstance(e, OSError) and e.errno is not None:
                raise
            # Arrow reports damaged files as an OSError that no system call made.
            what = str(e).splitlines()[0] if str(e) else type(e).__name__
            raise DataError(f"cannot be read as parquet: {what}", where=str(path)) from None


def label_names(path: Path, column: str) -> list[str] | None:
    """The names of the numbers in a column, where the file tells them as exports of the Hugging Face Hub do.

    Raises:
        DataError: the file is not parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with storage.reporting_os_errors(path, "read"), path.open("rb") as file:
        try:
            told = (pq.read_schema(file).metadata or {}).get(b"huggingface", b"{}")
        except pa.ArrowException as e:
            raise DataError(f"cannot be read as parquet: {str(e).splitlines()[0]}", where=str(path)) from None
    feature = json.loads(told).get("info", {}).get("features", {}).get(column)
    if isinstance(feature, list):  # a list of values, as older exports have it
        feature = feature[0]
    names = (feature or {}).get("feature", feature or {}).get("names")
    return names if isinstance(names, list) else None


def _values(column: Any) -> list[Any]:
    """A column's values; text as bytes, which Arrow does not check."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        # Text within lists: Arrow checks it, and would not say in which row.
        values = [_value_or_error(one) for one in column]
    return values


def _value_or_error(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as e:
        return e


def _row(number: int, values: dict[str, Any], path: Path) -> Row | BadRow:
    where = f"{path}: row {number}"
    decoded = {}
    for role, value in values.items():
        try:
            if isinstance(value, UnicodeDecodeError):
                raise value
            decoded[role] = value.decode() if isinstance(value, bytes) else value
        except UnicodeDecodeError as e:
            what = f"the {role} is not UTF-8: byte 0x{e.object[e.start]:02x} at byte {e.start:,} of the value"
            return BadRow(number, NOT_UTF8, DataError(what, where=where))
    return Row(number, where, decoded)
