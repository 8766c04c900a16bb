"""The metrics as `evaluate.Metric`, made here and never fetched: for code that speaks Hugging Face's interface.

    metric = bertkit.evaluation.hf_metrics.load("f1")
    metric.compute(predictions=[0, 1], references=[0, 1], average="macro")

`import evaluate` takes seconds, so nothing else in bertkit imports this module.
"""

from collections.abc import Sequence
from typing import Any, cast, get_args

import datasets
import evaluate
import numpy as np

from bertkit.errors import ConfigError, DataError, did_you_mean
from bertkit.evaluation import confusion as matrix
from bertkit.evaluation import multilabel
from bertkit.evaluation import probabilities as prob
from bertkit.evaluation.correlation import pearson, spearman
from bertkit.evaluation.hf_tags_and_answers import Seqeval, Squad, SquadV2

_LABELS = datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})
_PROBABILITIES = datasets.Features(
    {"predictions": datasets.Sequence(datasets.Value("float64")), "references": datasets.Value("int64")}
)
_NUMBERS = datasets.Features({"predictions": datasets.Value("float64"), "references": datasets.Value("float64")})
_FLAGS = datasets.Features(
    {
        "predictions": datasets.Sequence(datasets.Value("int64")),
        "references": datasets.Sequence(datasets.Value("int64")),
    }
)
_RANKINGS = datasets.Features(
    {
        "predictions": datasets.Sequence(datasets.Value("float64")),
        "references": datasets.Sequence(datasets.Value("int64")),
    }
)


def load(name: str) -> evaluate.Metric:
    """The metric called `name`, as `evaluate.load` would give it, without the network.

    Raises:
        ConfigError: there is no such metric here.
    """
    if name not in METRICS:
        raise ConfigError(
            f"there is no metric {name!r}{did_you_mean(name, list(METRICS))}", remedy=f"Metrics: {', '.join(METRICS)}."
        )
    return METRICS[name](keep_in_memory=True)


class _LabelMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate is untyped
    """Compares predicted label ids with gold ones."""

    def _info(self) -> evaluate.MetricInfo:
        return _describe(self, _LABELS, "`predictions` and `references` are label ids.")


class _ProbabilityMetric(evaluate.Metric):  # type: ignore[misc]
    """Compares rows of probabilities, one for each label, with gold label ids."""

    def _info(self) -> evaluate.MetricInfo:
        return _describe(self, _PROBABILITIES, "`predictions` are rows of one probability for each label.")


class Accuracy(_LabelMetric):
    """The share of predictions that are right."""

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, Any]:
        counts, _ = _confusion(predictions, references)
        return {"accuracy": _plain(matrix.accuracy(counts))}


class F1(_LabelMetric):
    """F1; `average` is `binary` (of the label `pos_label`), `macro`, `micro`, `weighted`, or None for one a label."""

    def _compute(
        self,
        predictions: Sequence[int],
        references: Sequence[int],
        average: str | None = "binary",
        pos_label: int = 1,
    ) -> dict[str, Any]:
        counts, ids = _confusion(predictions, references)
        if average in get_args(matrix.Average):
            return {"f1": _plain(matrix.average_f1(counts, cast(matrix.Average, average)))}
        return {"f1": _of_labels(matrix.f1(counts), ids, average, pos_label)}


class Precision(_LabelMetric):
    """Precision of the label `pos_label` (`average="binary"`), or of every label that occurs (`average=None`)."""

    def _compute(
        self, predictions: Sequence[int], references: Sequence[int], average: str | None = "binary", pos_label: int = 1
    ) -> dict[str, Any]:
        counts, ids = _confusion(predictions, references)
        return {"precision": _of_labels(matrix.precision(counts), ids, average, pos_label)}


class Recall(_LabelMetric):
    """Recall of the label `pos_label` (`average="binary"`), or of every label that occurs (`average=None`)."""

    def _compute(
        self, predictions: Sequence[int], references: Sequence[int], average: str | None = "binary", pos_label: int = 1
    ) -> dict[str, Any]:
        counts, ids = _confusion(predictions, references)
        return {"recall": _of_labels(matrix.recall(counts), ids, average, pos_label)}


class MatthewsCorrelation(_LabelMetric):
    """Matthews correlation, for any number of labels."""

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, Any]:
        counts, _ = _confusion(predictions, references)
        return {"matthews_correlation": _plain(matrix.matthews_correlation(counts))}


class RocAuc(_ProbabilityMetric):
    """Area under the ROC curve; one against the rest, averaged, for more than two labels."""

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[int]) -> dict[str, Any]:
        gold, rows = _distributions(predictions, references)
        return {"roc_auc": _plain(prob.roc_auc(gold, rows))}


class LogLoss(_ProbabilityMetric):
    """Mean -ln of the gold label's probability, in nats."""

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[int]) -> dict[str, Any]:
        gold, rows = _distributions(predictions, references)
        return {"log_loss": _plain(prob.log_losses(gold, rows).mean())}


class BrierScore(_ProbabilityMetric):
    """Mean squared distance from certainty in the gold label, 0 to 2."""

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[int]) -> dict[str, Any]:
        gold, rows = _distributions(predictions, references)
        return {"brier_score": _plain(prob.brier_scores(gold, rows).mean())}


class ExpectedCalibrationError(_ProbabilityMetric):
    """Gap between confidence and accuracy over 15 bins of equal width."""

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[int]) -> dict[str, Any]:
        gold, rows = _distributions(predictions, references)
        bins = prob.reliability(rows.max(axis=1), rows.argmax(axis=1) == gold)
        return {"expected_calibration_error": prob.expected_calibration_error(bins)}


class _NumberMetric(evaluate.Metric):  # type: ignore[misc]
    """Compares predicted numbers with gold ones."""

    def _info(self) -> evaluate.MetricInfo:
        return _describe(self, _NUMBERS, "`predictions` and `references` are numbers.")


class Pearson(_NumberMetric):
    """Pearson's correlation; None where either side is constant."""

    def _compute(self, predictions: Sequence[float], references: Sequence[float]) -> dict[str, Any]:
        predicted, gold = _numbers(predictions, references)
        return {"pearson": _plain(pearson(gold, predicted))}


class Spearman(_NumberMetric):
    """Spearman's rank correlation, ties ranked by their mean; None where either side is constant."""

    def _compute(self, predictions: Sequence[float], references: Sequence[float]) -> dict[str, Any]:
        predicted, gold = _numbers(predictions, references)
        return {"spearmanr": _plain(spearman(gold, predicted))}


class MeanSquaredError(_NumberMetric):
    """The mean squared distance."""

    def _compute(self, predictions: Sequence[float], references: Sequence[float]) -> dict[str, Any]:
        predicted, gold = _numbers(predictions, references)
        return {"mse": float(((predicted - gold) ** 2).mean())}


class MultiLabelF1(evaluate.Metric):  # type: ignore[misc]
    """F1 of rows of 0 and 1, one for each label; `average` is `micro`, `macro` or `samples`."""

    def _info(self) -> evaluate.MetricInfo:
        return _describe(self, _FLAGS, "`predictions` and `references` are rows of 0 and 1, one for each label.")

    def _compute(
        self, predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]], average: str = "micro"
    ) -> dict[str, Any]:
        if average not in ("micro", "macro", "samples"):
            raise ConfigError(f"there is no average {average!r} here", remedy="Use micro, macro or samples.")
        return {"f1": _multi_label(predictions, references)[f"{average}_f1"]}


class SubsetAccuracy(MultiLabelF1):
    """The share of rows of 0 and 1 that are right in every label."""

    def _compute(
        self, predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]], average: str = "micro"
    ) -> dict[str, Any]:
        return {"subset_accuracy": _multi_label(predictions, references)["subset_accuracy"]}


class HammingLoss(MultiLabelF1):
    """The share of labels, over all rows of 0 and 1, that are wrong."""

    def _compute(
        self, predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]], average: str = "micro"
    ) -> dict[str, Any]:
        return {"hamming_loss": _multi_label(predictions, references)["hamming_loss"]}


class AveragePrecision(evaluate.Metric):  # type: ignore[misc]
    """Average precision of rows of scores, one for each label: the mean over the labels that occur."""

    def _info(self) -> evaluate.MetricInfo:
        return _describe(self, _RANKINGS, "`predictions` are rows of scores, `references` of 0 and 1.")

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[Sequence[int]]) -> dict[str, Any]:
        gold, scores = np.asarray(references, dtype=bool), np.asarray(predictions, dtype=np.float64)
        _need_rows(gold)
        found = multilabel.Outcomes(gold, gold, scores)
        return {"average_precision": _plain(multilabel.measure(found, np.ones((1, len(gold))))["average_precision"][0])}


METRICS: dict[str, type[evaluate.Metric]] = {
    "accuracy": Accuracy,
    "f1": F1,
    "precision": Precision,
    "recall": Recall,
    "matthews_correlation": MatthewsCorrelation,
    "roc_auc": RocAuc,
    "log_loss": LogLoss,
    "brier_score": BrierScore,
    "expected_calibration_error": ExpectedCalibrationError,
    "pearson": Pearson,
    "spearmanr": Spearman,
    "mse": MeanSquaredError,
    "multilabel_f1": MultiLabelF1,
    "subset_accuracy": SubsetAccuracy,
    "hamming_loss": HammingLoss,
    "average_precision": AveragePrecision,
    "seqeval": Seqeval,
    "squad": Squad,
    "squad_v2": SquadV2,
}


def _describe(metric: evaluate.Metric, features: datasets.Features, inputs: str) -> evaluate.MetricInfo:
    description = (type(metric).__doc__ or "").strip()
    return evaluate.MetricInfo(description=description, citation="", inputs_description=inputs, features=features)


def _confusion(predictions: Sequence[int], references: Sequence[int]) -> tuple[matrix.Ints, list[int]]:
    """The confusion matrix over the label ids that occur, and those ids in order."""
    predicted, gold = np.asarray(predictions, dtype=np.int64), np.asarray(references, dtype=np.int64)
    _need_rows(gold)
    ids, places = np.unique(np.concatenate([gold, predicted]), return_inverse=True)
    counts = matrix.confusion_matrix(places[: len(gold)], places[len(gold) :], labels=len(ids))
    return counts, ids.tolist()


def _of_labels(values: matrix.Floats, ids: list[int], average: str | None, pos_label: int) -> Any:
    if average is None:
        return [_plain(value) for value in values]
    if average != "binary":
        raise ConfigError(f"there is no average {average!r} here", remedy="Use binary, or None for one number a label.")
    return _plain(values[ids.index(pos_label)]) if pos_label in ids else None


def _distributions(predictions: Sequence[Sequence[float]], references: Sequence[int]) -> tuple[prob.Ints, prob.Floats]:
    gold, rows = np.asarray(references, dtype=np.int64), np.asarray(predictions, dtype=np.float64)
    _need_rows(gold)
    if gold.min() < 0 or gold.max() >= rows.shape[1]:
        raise DataError(f"references hold a label id outside 0 to {rows.shape[1] - 1}")
    return gold, rows


def _numbers(predictions: Sequence[float], references: Sequence[float]) -> tuple[prob.Floats, prob.Floats]:
    predicted, gold = np.asarray(predictions, dtype=np.float64), np.asarray(references, dtype=np.float64)
    _need_rows(gold)
    if not (np.isfinite(predicted).all() and np.isfinite(gold).all()):
        raise DataError("predictions or references hold NaN or infinity")
    return predicted, gold


def _multi_label(predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> dict[str, float | None]:
    predicted, gold = np.asarray(predictions, dtype=bool), np.asarray(references, dtype=bool)
    _need_rows(gold)
    found = multilabel.Outcomes(gold, predicted, predicted.astype(np.float64))
    return {name: _plain(value[0]) for name, value in multilabel.measure(found, np.ones((1, len(gold)))).items()}


def _need_rows(gold: Any) -> None:
    if not len(gold):
        raise DataError("there are no predictions to score")


def _plain(value: Any) -> float | None:
    """A number as JSON has it; None where the metric is undefined."""
    return None if np.isnan(value) else float(value)
