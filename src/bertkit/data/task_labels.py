"""Values of a table to labels: one rule for each kind of label, and a reason for every value that is none."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bertkit.errors import did_you_mean

Label = str | tuple[str, ...] | float
ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]

UNLABELLED = "unlabelled"
NO_LABEL = "no label"
BAD_LABEL = "label is not text or a number"
UNKNOWN_LABEL = "label is not one of label_names"
SEVERAL_LABELS = "several labels where one is expected"
NOT_A_LIST = "label is not a list"
NOT_A_FLAG = "label column is not 0 or 1"
NOT_A_NUMBER = "label is not a number"
NOT_FINITE = "label is NaN or infinite"
LONE_SURROGATE = "lone surrogate"

WHOLE_NUMBER = "label 1.0 read as 1"
SPACES = "spaces around the label removed"
REPEATED = "label given twice counted once"
NONE_OF_THEM = "empty label read as none of the labels"

FLAG = "label: "
"""Before a label's name, the role of the column that says whether a row has it."""

_HUB_NONE = 'On the Hub, -1 says that a row has no label: set source.unlabelled=["-1"]. '
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_PLACE = re.compile(r"0|[1-9][0-9]{0,8}")  # in a list of names
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_FLAGS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


class UnusableError(Exception):
    """A value that is of no use: the reason it is counted under, and what to tell the user."""

    def __init__(self, reason: str, what: str, remedy: str | None = None) -> None:
        super().__init__(what)
        self.reason, self.what, self.remedy = reason, what, remedy


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How the label of a row is read.

    Args:
        problem_type: what labels are; None takes lists for several labels, and everything else for one.
        names: the labels there may be; where the data has numbers instead, number i is the i-th, from 0.
        separator: stands between several labels in one value.
        flags: labels with a column each, whose role is `FLAG` and the label, of 0 and 1.
        unlabelled: values in the place of a label that say that there is none.
    """

    problem_type: ProblemType | None = None
    names: tuple[str, ...] | None = None
    separator: str | None = None
    flags: tuple[str, ...] = ()
    unlabelled: frozenset[str] = frozenset()

    def read(self, values: Mapping[str, Any], changed: Counter[str]) -> Label:
        """The label of a row; `changed` counts what was not taken as it stands.

        Several labels come in the order of their code points.

        Raises:
            UnusableError: it has none.
        """
        if self.flags:
            return tuple(sorted(name for name in self.flags if _flag(values[FLAG + name], name)))
        value = values["label"]
        if self.unlabelled and not isinstance(value, list | tuple) and str(value).strip() in self.unlabelled:
            raise UnusableError(UNLABELLED, f"the label is {shown(value)}")
        if self.problem_type == "regression":
            return _number(value)
        if self.separator is not None and isinstance(value, str):
            value = value.split(self.separator) if value.strip() else []
        if isinstance(value, list | tuple):
            if self.problem_type == "single_label_classification":
                remedy = "Set source.problem_type=multi_label_classification."
                raise UnusableError(SEVERAL_LABELS, f"the label is {shown(value)}, a list", remedy)
            return self._several(value, changed)
        if self.problem_type == "multi_label_classification":
            if value is None or (isinstance(value, float) and math.isnan(value)):
                raise UnusableError(NO_LABEL, "the label is missing", "Write a row that has no label as [].")
            remedy = "Write a list, or say what separates labels: source.label_separator."
            raise UnusableError(NOT_A_LIST, f"the label is {shown(value)}, not a list", remedy)
        return _named(_label(value, changed), self.names)

    def _several(self, values: Sequence[Any], changed: Counter[str]) -> tuple[str, ...]:
        labels = [_named(_label(value, changed), self.names) for value in values]
        if not labels:
            changed[NONE_OF_THEM] += self.separator is not None
        changed[REPEATED] += len(labels) - len(set(labels))
        return tuple(sorted(set(labels)))


DEFAULT = LabelRule()


def shown(value: Any) -> str:
    """A value as errors show it, cut: a wrong column may hold whole documents."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def refuse_surrogates(value: str, role: str) -> None:
    """Refuse half a character, which no file could hold.

    Raises:
        UnusableError: `value`, of the column for `role`, has one.
    """
    if not value.isascii() and (found := _SURROGATE.search(value)):
        raise UnusableError(
            LONE_SURROGATE,
            f"the {role} has half a character (lone surrogate \\u{ord(found[0]):04x}) at character {found.start():,}",
            "Write the file again from text in which emoji and other such characters are whole.",
        )


def _label(value: Any, changed: Counter[str]) -> str:
    """A label is its text without spaces around it; a whole number is the same label as 1, 1.0, "1" or "1.0"."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float() if math.isnan(value):
            raise UnusableError(NO_LABEL, "the label is missing")
        case float():
            value = repr(value)
        case None:
            raise UnusableError(NO_LABEL, "the label is missing")
        case str():
            refuse_surrogates(value, "label")
        case _:
            raise UnusableError(BAD_LABEL, f"the label is {shown(value)}, a {type(value).__name__}")
    label = str(value).strip()
    if not label:
        raise UnusableError(NO_LABEL, "the label is empty")
    changed[SPACES] += label != value
    if whole := _WHOLE.fullmatch(label):
        changed[WHOLE_NUMBER] += 1
        return "0" if whole[1] == "-0" else whole[1]
    return label


def _named(label: str, names: Sequence[str] | None) -> str:
    """`label` as one of `names`, by name or else by number."""
    if names is None or label in names:
        return label
    if _PLACE.fullmatch(label) and int(label) < len(names):
        return names[int(label)]
    raise UnusableError(
        UNKNOWN_LABEL,
        f"the label {shown(label)} is not one of {', '.join(map(repr, names))}{did_you_mean(label, names)}",
        f"{_HUB_NONE if label == '-1' else ''}Correct it, or add it to source.label_names.",
    )


def _number(value: Any) -> float:
    """A finite number, as JSON or a decimal text has it."""
    match value:
        case None:
            raise UnusableError(NO_LABEL, "the label is missing")
        case str() if not value.strip():
            raise UnusableError(NO_LABEL, "the label is empty")
        case bool():
            raise UnusableError(NOT_A_NUMBER, f"the label is {shown(value)}, not a number")
        case str() if not _NUMBER.fullmatch(value.strip()):
            if _NOT_FINITE.fullmatch(value.strip()):
                raise UnusableError(NOT_FINITE, f"the label is {shown(value)}")
            remedy = "Write 1234.5 with a point and nothing else." if re.search("[0-9]", value) else None
            raise UnusableError(NOT_A_NUMBER, f"the label is {shown(value)}, not a number", remedy)
        case int() | float() | str():
            return _finite(value)
    raise UnusableError(NOT_A_NUMBER, f"the label is {shown(value)}, a {type(value).__name__}")


def _finite(value: float | str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UnusableError(NOT_FINITE, f"the label is {shown(value)}")
    return number


def _flag(value: Any, name: str) -> bool:
    """Whether a row has the label, by the value of its column."""
    if (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    ):
        raise UnusableError(NO_LABEL, f"the label column {name!r} is empty", "Write 1 or 0.")
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise UnusableError(NOT_A_FLAG, f"the label column {name!r} is {shown(value)}", "Write 1 or 0.")
    return flag
