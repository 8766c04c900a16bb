"""Labelled data of the Hugging Face Hub as files, for the stage `task_data` to read like any other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertkit import storage
from bertkit.errors import DataError
from bertkit.stages.task_sources import HubSource

_NO_LABEL = ["-1"]  # of a class label, as the Hub has it


@contextmanager
def fetched(source: HubSource) -> Iterator[dict[str, Any]]:
    """A source of parquet files, which are there as long as the block runs.

    Raises:
        DataError: there is no such data set, or, also within the block, it cannot be used; `where` names it and not our
            files.
        HostError: the Hub cannot be reached.
    """
    from bertkit.data.hub_datasets import fetch_splits

    folder = storage.temporary_directory()
    try:
        files = fetch_splits(source.path, folder, name=source.name, revision=source.revision, splits=source.splits())
        yield _source(source, files)
    except DataError as e:
        where = (e.where or source.shown).replace(f"{folder}/", f"{source.shown}/").replace(".parquet", "")
        raise DataError(e.what, where=where, remedy=e.remedy) from None
    finally:
        storage.remove_tree(folder)


def _source(source: HubSource, files: dict[str, Path]) -> dict[str, Any]:
    from bertkit.data.file_formats import guess_source
    from bertkit.data.tables.parquet import label_names

    given = {**source.options, **({"columns": source.columns} if source.columns else {})}
    found = guess_source(files["train"], given, {})
    label = found.get("columns", {}).get("label")
    if found["format"] == "parquet" and label is not None and label_names(files["train"], label):
        found.setdefault("unlabelled", _NO_LABEL)
    return found | {split: str(path) for split, path in files.items()}
