"""The `evaluate.Metric` shells work as those of the Hub do, without it."""

import numpy as np
import pytest
import sklearn.metrics as sk

from bertkit.errors import ConfigError, DataError

GOLD, PREDICTED = [0, 1, 2, 2, 1, 0, 1], [0, 2, 2, 2, 1, 1, 1]


@pytest.fixture(scope="module")
def metrics():
    from bertkit.evaluation import hf_metrics

    return hf_metrics


def test_label_metrics_are_scikit_learns(metrics):
    assert metrics.load("accuracy").compute(predictions=PREDICTED, references=GOLD) == {
        "accuracy": pytest.approx(sk.accuracy_score(GOLD, PREDICTED))
    }
    assert metrics.load("matthews_correlation").compute(predictions=PREDICTED, references=GOLD) == {
        "matthews_correlation": pytest.approx(sk.matthews_corrcoef(GOLD, PREDICTED))
    }
    for average in ("macro", "micro", "weighted"):
        found = metrics.load("f1").compute(predictions=PREDICTED, references=GOLD, average=average)
        assert found == {"f1": pytest.approx(sk.f1_score(GOLD, PREDICTED, average=average))}
    for name, theirs in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        found = metrics.load(name).compute(predictions=PREDICTED, references=GOLD, average=None)
        assert found[name] == pytest.approx(list(theirs(GOLD, PREDICTED, average=None)))


def test_binary_metrics_are_of_the_positive_label(metrics):
    gold, predicted = [0, 1, 1, 0], [0, 1, 0, 0]
    assert metrics.load("recall").compute(predictions=predicted, references=gold) == {"recall": 0.5}
    assert metrics.load("precision").compute(predictions=predicted, references=gold, pos_label=0)[
        "precision"
    ] == pytest.approx(2 / 3)
    assert metrics.load("precision").compute(predictions=[0, 0], references=[0, 0]) == {"precision": None}


def test_probability_metrics(metrics):
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 40)
    gold = [0, 1, 2, 2] * 10

    def compute(name):
        return metrics.load(name).compute(predictions=rows.tolist(), references=gold)[name]

    assert compute("roc_auc") == pytest.approx(sk.roc_auc_score(gold, rows, multi_class="ovr"))
    assert compute("log_loss") == pytest.approx(sk.log_loss(gold, rows))
    assert 0 < compute("expected_calibration_error") < 1
    assert 0 < compute("brier_score") < 2


def test_metrics_combine_and_take_batches(metrics):
    import evaluate

    both = evaluate.combine([metrics.load("accuracy"), metrics.load("matthews_correlation")])
    for start in range(0, len(GOLD), 3):
        both.add_batch(predictions=PREDICTED[start : start + 3], references=GOLD[start : start + 3])
    assert both.compute() == {
        "accuracy": pytest.approx(sk.accuracy_score(GOLD, PREDICTED)),
        "matthews_correlation": pytest.approx(sk.matthews_corrcoef(GOLD, PREDICTED)),
    }


def test_mistakes_are_named(metrics):
    with pytest.raises(ConfigError, match="did you mean 'accuracy'"):
        metrics.load("acuracy")
    with pytest.raises(ConfigError, match="no average 'samples'"):
        metrics.load("f1").compute(predictions=[0], references=[0], average="samples")
    with pytest.raises(DataError, match="outside 0 to 1"):
        metrics.load("log_loss").compute(predictions=[[0.5, 0.5]], references=[2])


def test_metrics_of_numbers_and_of_several_labels(metrics):
    import scipy.stats

    gold, predicted = [1.0, 2.0, 2.0, 5.0], [1.5, 1.0, 3.0, 4.0]
    for name, theirs in (("pearson", scipy.stats.pearsonr), ("spearmanr", scipy.stats.spearmanr)):
        found = metrics.load(name).compute(predictions=predicted, references=gold)
        assert found == {name: pytest.approx(theirs(gold, predicted)[0])}
        assert metrics.load(name).compute(predictions=[1.0, 1.0], references=[1.0, 2.0]) == {name: None}
    assert metrics.load("mse").compute(predictions=predicted, references=gold) == {"mse": pytest.approx(0.8125)}
    with pytest.raises(DataError, match="NaN"):
        metrics.load("mse").compute(predictions=[float("nan")], references=[1.0])

    flags, guesses = [[1, 0, 1], [0, 1, 0], [1, 1, 0]], [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    for average in ("micro", "macro", "samples"):
        found = metrics.load("multilabel_f1").compute(predictions=guesses, references=flags, average=average)
        assert found == {"f1": pytest.approx(sk.f1_score(flags, guesses, average=average, zero_division=0))}
    for name, theirs in (("subset_accuracy", sk.accuracy_score), ("hamming_loss", sk.hamming_loss)):
        found = metrics.load(name).compute(predictions=guesses, references=flags)
        assert found == {name: pytest.approx(theirs(np.array(flags), np.array(guesses)))}
    scores = [[0.9, 0.2, 0.4], [0.1, 0.8, 0.5], [0.3, 0.7, 0.6]]
    assert metrics.load("average_precision").compute(predictions=scores, references=flags) == {
        "average_precision": pytest.approx(sk.average_precision_score(flags, scores, average="macro"))
    }
