"""Early stopping keeps the best weights and knows when to give up."""

import json
import math

import pytest
import torch

from bertkit.training.best import BestWeights, higher_is_better


def offer(best: BestWeights, step: int, loss: float) -> bool:
    return best.offer(step, {"loss": loss, "accuracy": 1 - loss}, {"w": torch.tensor([float(step)])})


def test_the_best_weights_come_back_and_ties_go_to_the_earlier() -> None:
    best = BestWeights("loss", patience=2)
    assert [offer(best, step, loss) for step, loss in enumerate([0.9, 0.5, 0.5, 0.7], start=1)] == [
        True,
        True,
        False,
        False,
    ]
    assert best.weights["w"].item() == 2
    assert (best.step, best.value, best.exhausted) == (2, 0.5, True)


def test_a_score_is_better_when_higher() -> None:
    best = BestWeights("accuracy", patience=None)
    for step, loss in enumerate([0.5, 0.2, 0.9, 0.9, 0.9], start=1):
        offer(best, step, loss)
    assert (best.step, best.exhausted) == (2, False)


def test_weights_are_a_copy_and_state_survives_a_restart() -> None:
    weights = torch.tensor([1.0])
    best = BestWeights("loss", patience=2)
    best.offer(1, {"loss": 0.3}, {"w": weights})
    weights.fill_(7.0)
    assert best.weights["w"].item() == 1.0
    best.offer(2, {"loss": 0.4}, {"w": weights})
    again = BestWeights("loss", patience=2)
    again.restore(best.weights, best.state)
    again.offer(3, {"loss": 0.5}, {"w": weights})
    assert again.exhausted
    assert again.weights["w"].item() == 1.0


@pytest.mark.parametrize(
    ("metric", "high"),
    [
        *[(name, False) for name in ("loss", "log_loss", "hamming_loss", "brier_score", "rmse", "mean_squared_error")],
        *[(name, False) for name in ("mean_absolute_error", "expected_calibration_error", "mae", "perplexity")],
        *[(name, True) for name in ("accuracy", "macro_f1", "f1", "exact_match", "matthews_correlation", "spearmanr")],
        *[(name, True) for name in ("pearson", "roc_auc", "r2", "precision", "subset_accuracy")],
    ],
)
def test_a_metrics_name_says_which_way_is_better(metric: str, high: bool) -> None:
    assert higher_is_better(metric) == high
    best = BestWeights(metric, patience=None)
    for step, value in enumerate([0.5, 0.9, 0.1], start=1):
        best.offer(step, {metric: value}, {})
    assert best.value == (0.9 if high else 0.1)


def test_what_is_hardly_better_is_not() -> None:
    best = BestWeights("accuracy", patience=2, min_delta=0.1)
    values = [0.5, 0.55, 0.59, 0.65]
    assert [best.offer(step, {"accuracy": value}, {}) for step, value in enumerate(values, 1)] == [
        *(True, False, False),
        True,
    ]
    assert not best.exhausted


def test_nan_is_never_the_best_but_there_are_always_weights() -> None:
    best = BestWeights("loss", patience=2)
    offered = [best.offer(step, {"loss": loss}, {}) for step, loss in enumerate([math.nan, math.nan, 0.7, math.nan], 1)]
    assert offered == [True, False, True, False]
    assert (best.step, best.value) == (3, 0.7)


@pytest.mark.parametrize("value", [math.nan, 0.7])
def test_a_restart_knows_whether_the_best_has_a_value(value: float) -> None:
    best = BestWeights("loss", patience=None)
    offer(best, 1, value)
    again = BestWeights("loss", patience=None)
    again.restore(best.weights, json.loads(json.dumps(best.state, allow_nan=False)))
    assert [offer(again, 2, 0.8), again.step] == ([True, 2] if math.isnan(value) else [False, 1])
    new = BestWeights("loss", patience=None)
    new.restore({}, BestWeights("loss", patience=None).state)
    assert new.value is None
