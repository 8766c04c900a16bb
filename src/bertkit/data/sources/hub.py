"""A text column of a data set on the Hugging Face Hub to raw documents, streamed."""

from collections.abc import Iterator
from typing import Any

from bertkit.data.hub_datasets import refuse_paths, reporting_hub_errors
from bertkit.data.sources.raw import NULL, OnBadUtf8, RawDocument, Tally, well_formed
from bertkit.errors import DataError, did_you_mean


def read_hub(
    path: str,
    *,
    tally: Tally,
    name: str | None = None,
    split: str = "train",
    column: str = "text",
    revision: str | None = None,
    on_bad_utf8: OnBadUtf8 = "stop",
) -> Iterator[RawDocument]:
    """Documents of a Hub data set: `column` of each row is one; null is counted as dropped.

    Args:
        path, name, split, revision: as in `datasets.load_dataset`.

    Raises:
        DataError: no such data set, configuration, split or column of text.
        HostError: the Hub cannot be reached.
    """
    refuse_paths(path, instead="For local files use source.format=text, jsonl or parquet with source.files.")
    label = f"{path}/{name}" if name else path
    rows = _rows(path, name, split, revision)
    for number, row in enumerate(rows, start=1):
        where = f"{label} ({split}): row {number}"
        if column not in row:
            guess = did_you_mean(column, list(row)) or f"; it has {', '.join(map(repr, row))}"
            raise DataError(f"has no column {column!r}{guess}", where=where, remedy="Set source.column.")
        value = row[column]
        if value is None:
            tally.drop(NULL)
            continue
        if not isinstance(value, str):
            raise DataError(f"the column {column!r} holds {type(value).__name__}, not text", where=where)
        text = well_formed(value, where=where, on_bad_utf8=on_bad_utf8, tally=tally)
        yield RawDocument(f"{label}:{number}", text, where)


def _rows(path: str, name: str | None, split: str, revision: str | None) -> Iterator[dict[str, Any]]:
    import datasets

    instead = "download the data set elsewhere and use source.format=parquet or jsonl."
    with reporting_hub_errors(path, instead=instead):
        yield from datasets.load_dataset(path, name, split=split, revision=revision, streaming=True)
