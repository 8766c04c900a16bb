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
