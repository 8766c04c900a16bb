"""Early stopping keeps the best weights and knows when to give up."""

import torch

from bertkit.training.best import BestWeights


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
