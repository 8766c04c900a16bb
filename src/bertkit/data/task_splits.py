"""Training, validation and test rows: cut by what a text says, never by where it stands, and checked against each other."""

import bisect
import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from bertkit.data.task_examples import Example
from bertkit.data.task_labels import Label, ProblemType, shown
from bertkit.errors import DataError

Splits = dict[str, list[Example]]


class Item(Protocol):
    """A row of a split: `content` is what it is cut and sampled by, so that equal rows are never parted."""

    @property
    def content(self) -> str: ...


T = TypeVar("T", bound=Item)


def position(text: str, purpose: str) -> float:
    """A number from [0, 1) that depends on the words of `text` alone: equal texts are never parted."""
    content = f"{purpose}\0{' '.join(text.split())}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=7).digest(), "big") / 2**56


def cut(examples: Sequence[T], strata: Sequence[Any], percentage: int, purpose: str) -> tuple[list[T], list[T]]:
    """What is left, and the `percentage` of texts that are cut off; both keep their order.

    Every stratum gives its share, to the nearest text, those whose hash is least, and keeps one text at least, so that no
    label is cut off whole. Equal texts are never parted.
    """
    stratum = _of_texts(examples, strata)
    groups: dict[Any, list[str]] = {}
    for text in sorted(stratum, key=lambda text: (position(text, purpose), text)):
        groups.setdefault(stratum[text], []).append(text)
    taken: set[str] = set()
    owed = 50  # hundredths of a text
    for _, texts in sorted(groups.items()):
        owed += len(texts) * percentage
        share = min(owed // 100, len(texts) - 1)
        taken.update(texts[:share])
        owed -= 100 * share
    kept = [example for example in examples if _words(example) not in taken]
    return kept, [example for example in examples if _words(example) in taken]


def sample(texts: Sequence[str], count: int) -> list[int]:
    """The places of `count` of the texts, chosen by a hash of each, in order; a larger sample holds a smaller."""
    places = [(position(text, "sample"), i) for i, text in enumerate(texts)]
    return sorted(i for _, i in sorted(places)[:count])


def fold_numbers(examples: Sequence[T], strata: Sequence[Any], count: int) -> list[int]:
    """The part, from 1 to `count`, that each example is held out in (Stone 1974).

    Texts are dealt out in the order of a hash, one stratum after the other: parts are of like size and like strata, and
    equal texts are never parted.

    Raises:
        DataError: there are fewer texts than parts.
    """
    stratum = _of_texts(examples, strata)
    if len(stratum) < count:
        raise DataError(f"{len(stratum)} different texts cannot be cut into {count} folds", remedy="Use fewer folds.")
    dealt = sorted(stratum, key=lambda text: (stratum[text], position(text, "fold"), text))
    number = {text: 1 + i % count for i, text in enumerate(dealt)}
    return [number[_words(example)] for example in examples]


def rarest(labels: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """The stratum of rows that have several labels, or none: the one that fewest rows have (Sechidis et al. 2011)."""
    counts = Counter(label for of_row in labels for label in set(of_row))
    return [min(((counts[label], label) for label in of_row), default=(0, "")) for of_row in labels]


def tenths(values: Sequence[float]) -> list[int]:
    """The stratum of rows whose labels are numbers: which tenth of them, from 0, they fall in."""
    ordered = sorted(values)
    return [10 * bisect.bisect_left(ordered, value) // len(ordered) for value in values]


def _of_texts(examples: Sequence[Item], strata: Sequence[Any]) -> dict[str, Any]:
    """The stratum of each text; of one under several labels, the least."""
    stratum: dict[str, Any] = {}
    for example, own in zip(examples, strata, strict=True):
        text = _words(example)
        stratum[text] = min(own, stratum.get(text, own))
    return stratum


def _words(example: Item) -> str:
    return " ".join(example.content.split())


def problem_type(splits: Mapping[str, Sequence[Example]]) -> ProblemType:
    """What the labels are where nobody said: lists are several, everything else is one.

    Raises:
        DataError: some rows have a list and others do not, or the labels are numbers with a fraction, which may be meant
            either way.
    """
    examples = [example for split in splits.values() for example in split]
    several = [example for example in examples if isinstance(example.label, tuple)]
    if several:
        if odd := next((example for example in examples if not isinstance(example.label, tuple)), None):
            what = f"the label is {shown(odd.label)}, that of {several[0].where} is a list"
            raise DataError(what, where=odd.place, remedy="Write every label as a list, or none.")
        return "multi_label_classification"
    fractions = [example for example in examples if re.fullmatch(r"-?[0-9]*\.[0-9]+", str(example.label))]
    if fractions and all(re.fullmatch(r"-?[0-9]*\.?[0-9]+", str(example.label)) for example in examples):
        raise DataError(
            f"every label is a number, and {fractions[0].label} has a fraction",
            where=fractions[0].place,
            remedy="Say what they are: source.problem_type=regression, or single_label_classification.",
        )
    return "single_label_classification"


def label_order(
    splits: Mapping[str, Sequence[Example]], names: Sequence[str] | None, *, carved: bool = False
) -> list[str]:
    """The task's labels in their fixed order: `names`, else those of `train`, numbers by value and words by code point.

    Args:
        carved: whether `validation` was cut off `train`, which a remedy has to mention.

    Raises:
        DataError: `train` has fewer than two labels (several an example: none), or another split has one that it has not.
    """
    trained = {label for example in splits["train"] for label in labels_of(example)}
    several = any(isinstance(example.label, tuple) for example in splits["train"])
    if not splits["train"]:
        raise DataError("train has no rows", remedy=SIZE_REMEDY)
    if len(trained) < (1 if several else 2):
        only = f"only {shown(min(trained))}" if trained else "none"
        wanted = "a label" if several else "two labels or more"
        cut_off = carved and any(set(labels_of(example)) - trained for example in splits["validation"])
        remedy = _RARE_REMEDY if cut_off else _COLUMN_REMEDY
        raise DataError(f"train must have {wanted}, it has {only}", remedy=remedy)
    for split, examples in splits.items():
        for example in examples:
            if unseen := [label for label in labels_of(example) if label not in trained]:
                raise DataError(
                    f"the label {shown(unseen[0])} of {split} does not occur in train, which has {_listed(sorted(trained))}",
                    where=example.place,
                    remedy=_RARE_REMEDY if carved and split == "validation" else _UNSEEN_REMEDY,
                )
    if names is not None:
        return list(names)
    # Python refuses to read numbers of more than 4,300 digits.
    numbers = all(re.fullmatch("-?[0-9]{1,4000}", label) for label in trained)
    return sorted(trained, key=lambda label: (int(label), label)) if numbers else sorted(trained)


def labels_of(example: Example) -> tuple[str, ...]:
    """The labels of an example, one or several; a number is none."""
    if isinstance(example.label, tuple):
        return example.label
    return (example.label,) if isinstance(example.label, str) else ()


def check_splits(splits: Mapping[str, Sequence[Example]]) -> None:
    """Refuse a split that could only mislead.

    Raises:
        DataError: it is empty, or has one label only.
    """
    for split, examples in splits.items():
        labels = {example.label for example in examples}
        if not examples:
            raise DataError(f"{split} has no rows", remedy=SIZE_REMEDY)
        if len(labels) == 1:
            what = f"all {len(examples):,} rows of {split} have the label {_shown(examples[0])}"
            raise DataError(what, where=examples[0].place, remedy=_COLUMN_REMEDY if split == "train" else SIZE_REMEDY)


def overlap(splits: Mapping[str, Sequence[Example]]) -> dict[str, int]:
    """Rows whose exact text is in another split too, and those of `train` that repeat or contradict each other.

    `train_repeats` counts rows beyond the first of each text; `train_contradictions` all rows of texts that stand
    under more than one label.
    """
    texts = {split: {example.content for example in examples} for split, examples in splits.items()}
    pairs = [("validation", "train"), ("test", "train"), ("test", "validation")]
    counts = {
        f"{split}_in_{other}": sum(example.content in texts[other] for example in splits[split])
        for split, other in pairs
        if split in splits and other in splits
    }
    labels: dict[str, set[Label]] = {}
    for example in splits["train"]:
        labels.setdefault(example.content, set()).add(example.label)
    counts["train_repeats"] = len(splits["train"]) - len(labels)
    counts["train_contradictions"] = sum(len(labels[example.content]) > 1 for example in splits["train"])
    return counts


def characters(examples: Sequence[Example]) -> dict[str, float]:
    """Median and greatest length of the texts, in characters; of a pair, both together."""
    lengths = [len(example.text) + len(example.text_pair or "") for example in examples]
    return {"median": statistics.median(lengths), "max": max(lengths)}


def label_counts(examples: Sequence[Example], labels: Sequence[str]) -> dict[str, int]:
    """How many rows each label has, in the labels' order."""
    counts = Counter(label for example in examples for label in labels_of(example))
    return {label: counts[label] for label in labels}


def label_range(examples: Sequence[Example]) -> dict[str, float]:
    """Least, mean and greatest of labels that are numbers."""
    values = [float(example.label) for example in examples if isinstance(example.label, float)]
    return {"min": min(values), "mean": statistics.fmean(values), "max": max(values)}


def as_columns(examples: Sequence[Example]) -> dict[str, list[Any]]:
    """The examples as the columns of a task's parquet file."""
    names = ("id", *text_columns(examples), "label", "where")
    return {name: [getattr(example, name) for example in examples] for name in names}


def text_columns(examples: Sequence[Example]) -> list[str]:
    """`text`, and `text_pair` where texts come in pairs."""
    return ["text"] if all(example.text_pair is None for example in examples) else ["text", "text_pair"]


_UNSEEN_REMEDY = (
    "A model cannot learn a label it never sees: correct the label, add training rows that have it, "
    "or take these rows out."
)
_RARE_REMEDY = (
    "Every row with a label that train lacks fell into the part of it that validation_percentage cuts off. "
    "Add such rows, change validation_percentage, or give a validation file."
)
_COLUMN_REMEDY = "Check that source.columns.label names the right column."
SIZE_REMEDY = "Give more rows, another file, or another validation_percentage or max_eval_samples."


def _shown(example: Example) -> str:
    return shown(list(example.label) if isinstance(example.label, tuple) else example.label)


def _listed(labels: Sequence[str]) -> str:
    first = ", ".join(map(shown, labels[:20]))
    return first if len(labels) <= 20 else f"{first} and {len(labels) - 20} more"
