"""How a known set is described: its published files, its place on the Hub, its licence, metric and source."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertkit.data.tables.rows import BadRow, Row
from bertkit.data.task_labels import ProblemType

Rows = Iterator[Row | BadRow]


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of a set as published, below `DIR/NAME`.

    `read` gives what its kind reads: of classification rows with `text`, in pairs `text_pair`, and, where `labelled`,
    `label`.
    """

    name: str
    read: Callable[[Path], Iterator[Any]]
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class HubSource:
    """Where the Hub has a set: `load_dataset(path, name, revision=...)`, its columns, and its splits for ours."""

    path: str
    name: str | None = None
    revision: str | None = None
    text: str = "text"
    text_pair: str | None = None
    label: str = "label"
    splits: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"train": ("train",), "validation": ("validation",), "test": ("test",)}
    )
    unlabelled: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartialCopy:
    """What to read of a set where its training file is not there, and a `note` that says so beside every score."""

    files: Mapping[str, tuple[PublishedFile, ...]]
    note: str
    test_percentage: int = 0


@dataclass(frozen=True, slots=True)
class KnownSet:
    """A set by name; `kind` is that of its task, `problem_type` what the labels of a classification are.

    `labels` are in their fixed order; `test_percentage` is cut off by hash where no test split is published; `part` is
    read where the training file is missing.
    """

    name: str
    title: str
    licence: str
    labels: tuple[str, ...] = ()
    files: Mapping[str, tuple[PublishedFile, ...]] = field(default_factory=dict)
    hub: HubSource | None = None
    primary: str = "accuracy"
    test_percentage: int = 0
    kind: str = "classification"
    citation: str = ""
    folder: str = ""
    """Where its files lie below DIR, if not in DIR/NAME."""
    bad_rows: int = 0
    """How many of its published rows are known to be unusable; they are dropped and counted."""
    wrong_offsets: bool = False
    """Whether published answers are known not to stand where they say; they are moved and counted."""
    scorer: str = ""
    """Of spans: whose definition of exact match and F1 holds."""
    problem_type: ProblemType = "single_label_classification"
    part: PartialCopy | None = None
    package: str = ""
    """The installed package among whose files its texts are; see `data/installed.py`."""
