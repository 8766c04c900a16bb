"""The labelled sets that bertkit knows by name, of every kind."""

from pathlib import Path

from bertkit.data import classification_sets
from bertkit.data.published import KnownSet, PartialCopy, PublishedFile
from bertkit.data.spans import catalogue as spans
from bertkit.data.tagging import catalogue as tagging
from bertkit.errors import ConfigError, DataError, did_you_mean

KNOWN: dict[str, KnownSet] = {known.name: known for known in (*classification_sets.SETS, *tagging.SETS, *spans.SETS)}


def known_set(name: str) -> KnownSet:
    """The set called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in KNOWN:
        raise ConfigError(
            f"there is no data set {name!r}{did_you_mean(name, list(KNOWN))}",
            remedy=f"Known sets: {', '.join(KNOWN)}. For your own files use source.format.",
        )
    return KNOWN[name]


def local_files(known: KnownSet, data_dir: Path) -> dict[str, list[tuple[PublishedFile, Path]]]:
    """The published files of a set below `data_dir/NAME`, by split.

    Raises:
        DataError: the directory or one of the files is not there.
    """
    folder = data_dir / (known.folder or known.name)
    if not folder.is_dir():
        if data_dir.name == known.name:
            remedy = f"Give the directory above it: --data-dir {data_dir.parent}."
            raise DataError(f"is the folder of {known.name!r} itself", where=str(data_dir), remedy=remedy)
        there = [name for name in KNOWN if (data_dir / name).is_dir()]
        has = f"it has {', '.join(there)}" if there else "it has none of the known sets"
        hub = " Without --data-dir it is fetched from the Hugging Face Hub." if known.hub else ""
        raise DataError(
            f"has no folder {known.name!r}; {has}",
            where=str(data_dir),
            remedy=f"Put the published files into {folder}, or give another --data-dir.{hub}",
        )
    part = partial_copy(known, data_dir)
    given = known.files if part is None else part.files
    found = {split: [(file, folder / file.name) for file in files] for split, files in given.items()}
    for _, path in (pair for pairs in found.values() for pair in pairs):
        if not path.is_file():
            raise DataError("no such file", where=str(path), remedy=f"It is part of {known.title} as published.")
    return found


def partial_copy(known: KnownSet, data_dir: Path) -> PartialCopy | None:
    """What stands in for the whole set where `data_dir/NAME` lacks its training files; None where it has them."""
    missing = [file for file in known.files.get("train", ()) if not (data_dir / known.name / file.name).is_file()]
    return known.part if missing else None
