"""A task's rows by split, of any kind: cut, sampled, counted and written."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from bertkit import storage
from bertkit.data import task_splits as cutting
from bertkit.data.task_examples import Tally
from bertkit.errors import DataError

SPLITS = ("train", "validation", "test")

T = TypeVar("T", bound=cutting.Item)


@dataclass
class SplitData(ABC, Generic[T]):
    """What became of every row read, and where they came from."""

    name: str
    splits: dict[str, list[T]]
    tallies: dict[str, Tally]
    source: dict[str, Any]
    primary: str
    fold: tuple[int, int] | None = field(default=None, kw_only=True)

    def prepare(
        self,
        *,
        validation_percentage: int,
        max_train_samples: int | None = None,
        max_eval_samples: int | None = None,
    ) -> None:
        """Make it fit to train on: cut off a validation split where there is none, check, and sample.

        Raises:
            DataError: a split has no rows, or what `check` and `check_sampled` refuse.
        """
        if not self.splits["train"]:
            raise DataError("train has no rows", remedy=cutting.SIZE_REMEDY)
        carved = "validation" not in self.splits and validation_percentage > 0
        if carved:
            self.carve(validation_percentage, "validation")
        self.splits = {split: self.splits[split] for split in SPLITS if split in self.splits}
        self.check(carved=carved)
        for split, items in self.splits.items():
            limit, reason = (
                (max_train_samples, "max_train_samples") if split == "train" else (max_eval_samples, "max_eval_samples")
            )
            if limit is not None and len(items) > limit:
                self.tallies[split].dropped[reason] += len(items) - limit
                self.splits[split] = [items[i] for i in cutting.sample([item.content for item in items], limit)]
        for split, items in self.splits.items():
            if not items:
                raise DataError(f"{split} has no rows", remedy=cutting.SIZE_REMEDY)
        self.check_sampled()

    def carve(self, percentage: int, split: str) -> None:
        """Cut a share of each stratum of train off as another split, by a hash of what its rows say."""
        items = self.splits["train"]
        self.splits["train"], taken = cutting.cut(items, self.strata(items), percentage, split)
        self.splits[split] = taken
        self.tallies[split] = Tally(read=len(taken))
        self.tallies["train"].read -= len(taken)

    def hold_out(self, fold: int, folds: int) -> None:
        """Put the rows of all splits together, cut them into `folds` parts, and make test the part `fold`, from 1.

        Train is all others, so the parts of all folds hold every row once.

        Raises:
            DataError: there are fewer texts than folds.
        """
        items = [item for split in SPLITS for item in self.splits.get(split, [])]
        numbers = cutting.fold_numbers(items, self.strata(items), folds)
        tallies = list(self.tallies.values())
        self.fold = fold, folds
        self.splits = {
            "train": [item for item, number in zip(items, numbers, strict=True) if number != fold],
            "test": [item for item, number in zip(items, numbers, strict=True) if number == fold],
        }
        held_out = len(self.splits["test"])
        rest = Tally(read=sum(tally.read for tally in tallies) - held_out)
        for tally in tallies:
            rest.dropped.update(tally.dropped)
            rest.changed.update(tally.changed)
        self.tallies = {"train": rest, "test": Tally(read=held_out)}

    def strata(self, items: Sequence[T]) -> Sequence[Any]:
        """Of each row, what folds and a validation split cut off train should have alike shares of."""
        return [0] * len(items)

    @abstractmethod
    def check(self, *, carved: bool) -> None:
        """Refuse labels that only one split has; `carved` tells whether validation was cut off train."""

    def check_sampled(self) -> None:
        """Refuse splits that could only mislead."""

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """What `task.json` says of this kind, `kind` among it."""

    @abstractmethod
    def columns(self, items: Sequence[T]) -> Mapping[str, Sequence[Any]]:
        """A split as the columns of its parquet file; lists of one length."""

    def describe(self) -> dict[str, Any]:
        """The content of `task.json`; for every split, `read` = `counts` + the sum of `dropped`."""
        tallies = {split: self.tallies[split] for split in SPLITS if split in self.tallies}
        return {
            "name": self.name,
            **self.details(),
            "primary": self.primary,
            **({"fold": "{}/{}".format(*self.fold)} if self.fold else {}),
            "read": {split: tally.read for split, tally in tallies.items()},
            "counts": {split: len(items) for split, items in self.splits.items()},
            "dropped": {split: _nonzero(tally.dropped) for split, tally in tallies.items()},
            "changed": {split: _nonzero(tally.changed) for split, tally in tallies.items()},
            "source": self.source,
        }

    def write(self, out: Path) -> None:
        """Write `<split>.parquet` and `task.json` into `out`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for split, items in self.splits.items():
            with storage.atomic_file(out / f"{split}.parquet") as file:
                pq.write_table(pa.table(dict(self.columns(items)), schema=self.schema()), file)
        storage.write_json(out / "task.json", self.describe())

    @abstractmethod
    def schema(self) -> Any:
        """The types of `columns`, so that an empty list has one too."""


def described(path: Path) -> dict[str, str]:
    """A file that was read, as `task.json` names it."""
    return {"name": path.name, "sha256": storage.sha256(path)}


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: n for reason, n in sorted(counts.items()) if n}
