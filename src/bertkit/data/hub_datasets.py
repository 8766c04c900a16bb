"""Data sets of the Hugging Face Hub by any name: loaded, their splits written as parquet, and what to say where that fails."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertkit.errors import DataError, HostError
from bertkit.hub.patience import status_of, without_secrets

_MESSAGE = 300  # characters of what `datasets` says, which may list every configuration there is

_SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "dev", "valid"),
    "test": ("test",),
}


def refuse_paths(path: str, *, instead: str) -> None:
    """`load_dataset` would look for a local script or folder of that name, or ask the Hub for it for a long time.

    Raises:
        DataError: `path` is one of this machine; `instead` is the remedy.
    """
    if path.startswith((".", "/", "~")) or path.count("/") > 1 or Path(path).exists():
        what = "is a path on this machine, not the name of a data set on the Hub"
        raise DataError(what, where=path, remedy=instead)


@contextmanager
def reporting_hub_errors(path: str, *, instead: str) -> Iterator[None]:
    """What `datasets` raises for the set `path`, as errors of ours; `instead` is what to do without the Hub."""
    from datasets.exceptions import DatasetNotFoundError

    try:
        yield
    except DatasetNotFoundError as e:
        what = f"the Hub has no such data set, or it is private: {_said(e)}"
        remedy = "Check source.path. For a gated or private one log in with: hf auth login"
        raise DataError(what, where=path, remedy=remedy) from None
    except ConnectionError as e:
        what = f"the Hugging Face Hub cannot be reached: {_said(e)}"
        remedy = f"Connect this machine (and unset HF_HUB_OFFLINE), or {instead}"
        raise HostError(what, where=path, remedy=remedy) from None
    except (ValueError, RuntimeError, OSError) as e:
        if (status := status_of(e)) is not None:
            remedy = f"Check the name and your token (hf auth login), or try again later; or {instead}"
            raise HostError(f"the Hugging Face Hub answers {status}: {_said(e)}", where=path, remedy=remedy) from None
        if isinstance(e, OSError) and e.errno is not None:
            raise HostError(f"cannot be fetched: {e.strerror}", where=str(e.filename or path)) from None
        raise DataError(f"cannot be read: {_said(e)}", where=path) from e


def _said(error: Exception) -> str:
    return " ".join(without_secrets(str(error)).split())[:_MESSAGE] or type(error).__name__


def fetch_splits(
    path: str, folder: Path, *, name: str | None, revision: str | None, splits: Mapping[str, str]
) -> dict[str, Path]:
    """The splits of a data set as `train.parquet`, `validation.parquet` and `test.parquet` in `folder`, where it has them.

    Args:
        path, name, revision: as in `datasets.load_dataset`.
        splits: what the data set calls ours, where that is not `train`, `validation` (or `dev`, `valid`) and `test`.

    Raises:
        DataError: there is no such data set, configuration or split.
        HostError: the Hub cannot be reached.
    """
    import datasets

    instead = "download the data set elsewhere and use source.format=parquet."
    refuse_paths(path, instead="For local files use source.format=csv, parquet, ... with source.train.")
    with reporting_hub_errors(path, instead=instead):
        loaded = datasets.load_dataset(path, name, revision=revision)
    files = {}
    for ours, theirs in _chosen(loaded, splits, path).items():
        files[ours] = folder / f"{ours}.parquet"
        with _no_progress_bars():
            loaded[theirs].to_parquet(files[ours])
    return files


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    import datasets

    if datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()


def _chosen(loaded: Mapping[str, Any], splits: Mapping[str, str], path: str) -> dict[str, str]:
    """What the data set calls each of our splits that it has."""
    found = {}
    for ours, known in _SPLITS.items():
        wanted = (splits[ours],) if ours in splits else known
        there = next((name for name in wanted if name in loaded), None)
        if there is not None:
            found[ours] = there
        elif ours in splits or ours == "train":
            what = f"has no split {wanted[0]!r}; it has {', '.join(loaded)}"
            raise DataError(what, where=path, remedy=f"Set source.{ours} to one of them.")
    return found
