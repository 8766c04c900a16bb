"""Numbers as people read them; what is missing is a dash."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

MISSING = "–"
_SPACE = "\u00a0"

# Shares of 1, shown as percentages; everything else is shown as it is.
PERCENTAGES = frozenset(
    {
        *("accuracy", "subset_accuracy", "precision", "recall", "f1", "macro_f1", "micro_f1", "weighted_f1"),
        *("exact_match", "has_answer_exact_match", "has_answer_f1", "no_answer_exact_match", "no_answer_f1"),
        *("best_exact_match", "best_f1", "roc_auc", "expected_calibration_error"),
    }
)
TITLES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "has_answer_f1": "F1 with an answer",
    "has_answer_exact_match": "exact match with an answer",
    "no_answer_f1": "F1 without an answer",
    "no_answer_exact_match": "exact match without an answer",
    "best_f1": "best F1 over thresholds",
    "best_exact_match": "best exact match over thresholds",
    "spearmanr": "Spearman correlation",
    "pearson": "Pearson correlation",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "weighted_f1": "weighted F1",
    "matthews_correlation": "Matthews correlation",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "grad_norm": "gradient norm",
    "brier_score": "Brier score",
    "expected_calibration_error": "calibration error (ECE)",
}


def is_missing(value: float | None) -> bool:
    """Whether there is no number to show: none at all, NaN or infinite."""
    return value is None or not math.isfinite(value)


def title(metric: str) -> str:
    """The name of a metric in words."""
    return TITLES.get(metric, metric.replace("_", " "))


def count(value: float | None) -> str:
    """`1,234`; a mean over seeds keeps one decimal."""
    if value is None or is_missing(value):
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def score(metric: str, value: float | None, *, sign: bool = False) -> str:
    """A metric's value without its unit: `92.1` (per cent) for shares, three decimals for the rest."""
    if value is None or is_missing(value):
        return MISSING
    percent = metric in PERCENTAGES
    text = f"{value * 100:+.1f}" if percent else f"{value:+.3f}"
    if float(text) == 0:
        return text[1:]
    return ("+" if sign else "") + text[1:] if value > 0 else "\u2212" + text[1:]


def mean_and_sd(metric: str, value: Mapping[str, Any]) -> str:
    """`92.1 ± 0.4`; the mean alone where there is one seed."""
    mean = score(metric, value["mean"])
    return f"{mean} ± {score(metric, value['sd'])}" if value["sd"] is not None else mean


def score_range(metric: str, ends: Sequence[float | None] | None, *, joint: str = " to ") -> str:
    """`89.7 to 94.2`, or a dash."""
    if ends is None or any(is_missing(end) for end in ends):
        return MISSING
    return joint.join(score(metric, end) for end in ends)


def unit(metric: str) -> str:
    """What follows the number: a per cent sign for shares."""
    return f"{_SPACE}%" if metric in PERCENTAGES else ""


def heading(metric: str) -> str:
    """What stands over a column of a metric's values: `accuracy, %`."""
    return title(metric) + (f",{unit(metric)}" if unit(metric) else "")


def share(part: float | None, whole: float | None = 1) -> str:
    """`part / whole` in per cent: `0.35 %`, `4.2 %`, `100 %`."""
    if part is None or not whole or is_missing(part) or is_missing(whole):
        return MISSING
    percent = part / whole * 100
    decimals = 0 if percent in (0, 100) else 1 if percent >= 1 else 2
    text = f"{percent:.{decimals}f}"
    if percent > 0 and float(text) == 0:
        return f"<0.01{_SPACE}%"
    return f"{text}{_SPACE}%"


def number(value: float | None, digits: int = 3) -> str:
    """To `digits` significant digits, never in powers of ten below a million."""
    if value is None or is_missing(value):
        return MISSING
    if value == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{decimals}f}".replace("-", "\u2212")


def brief(value: float | None) -> str:
    """Three significant digits where there is little room: `0.679`, `21.7 k`; two in powers of ten, `4.1e−5`."""
    if value is None or is_missing(value):
        return MISSING
    if abs(value) >= 10_000:
        return size(value)
    if value and abs(value) < 0.001:
        return f"{value:.1e}".replace("e-0", "e-").replace("-", "\u2212")
    return number(value)


def size(value: float | None) -> str:
    """`4.4 M` for 4,400,000."""
    if value is None or is_missing(value):
        return MISSING
    for letter, unit_size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= unit_size:
            return f"{number(value / unit_size, 2 if value < 10 * unit_size else 3)}{_SPACE}{letter}"
    return count(value)


def duration(seconds: float | None) -> str:
    """`0.8 s`, `31 s`, `4 min 12 s`, `1 h 03 min`."""
    if seconds is None or is_missing(seconds):
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_SPACE}s"
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60:02d}{_SPACE}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}{_SPACE}h {minutes % 60:02d}{_SPACE}min"


def plural(amount: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


ITEMS = {"tagging": "sentence", "spans": "question", "vectors": "item"}


def item(kind: str) -> str:
    """What a task of a kind is scored on: texts, sentences or questions."""
    return ITEMS.get(kind, "text")
