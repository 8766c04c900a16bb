"""Each loss is the formula of its paper, or torch's own, as a sum."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bertkit.errors import ConfigError, DataError
from bertkit.models.losses import FITTING, class_weights, divergence, make_loss

N, K = 7, 4
WEIGHTS = [0.5, 2.0, 1.0, 0.0]


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(N, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 1, 1, 0])


@pytest.fixture
def several() -> Tensor:
    return torch.randint(0, 2, (N, K), generator=torch.Generator().manual_seed(1)).double()


def softmax(logits: Tensor) -> NDArray[np.float64]:
    x = logits.detach().numpy()
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs_sum(logits: Tensor, labels: Tensor, smoothing: float) -> None:
    ours = make_loss("cross_entropy", label_smoothing=smoothing)(logits, labels)
    theirs = nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, labels) * N
    torch.testing.assert_close(ours, theirs)


def test_class_weights_multiply_the_examples(logits: Tensor, labels: Tensor) -> None:
    ours = make_loss("cross_entropy", class_weights=WEIGHTS)(logits, labels)
    p = softmax(logits)[np.arange(N), labels]
    assert ours.item() == pytest.approx(float((np.array(WEIGHTS)[labels] * -np.log(p)).sum()))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_over_a_softmax_is_the_papers(logits: Tensor, labels: Tensor, gamma: float, weights: Any) -> None:
    ours = make_loss("focal", gamma=gamma, class_weights=weights)(logits, labels)
    p = softmax(logits)[np.arange(N), labels]
    w = np.ones(N) if weights is None else np.array(weights)[labels]
    assert ours.item() == pytest.approx(float((w * -((1 - p) ** gamma) * np.log(p)).sum()))
    if gamma == 0.0:
        torch.testing.assert_close(ours, make_loss("cross_entropy", class_weights=weights)(logits, labels))


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_over_sigmoids_is_the_papers(logits: Tensor, several: Tensor, alpha: float | None) -> None:
    loss = make_loss("focal", problem="multi_label_classification", gamma=2.0, alpha=alpha)
    y, p = several.numpy(), 1 / (1 + np.exp(-logits.detach().numpy()))
    hit = np.where(y == 1, p, 1 - p)
    a = 1.0 if alpha is None else np.where(y == 1, alpha, 1 - alpha)
    expected = (a * -((1 - hit) ** 2) * np.log(hit)).mean(-1).sum()
    assert loss(logits, several).item() == pytest.approx(float(expected))


def test_focal_has_a_finite_gradient_where_it_is_sure() -> None:
    logits = torch.tensor([[80.0, -80.0], [-80.0, 80.0]], requires_grad=True)
    make_loss("focal", gamma=0.5)(logits, torch.tensor([0, 0])).backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_bce_is_torchs_mean_over_labels(logits: Tensor, several: Tensor, weights: Any) -> None:
    ours = make_loss("auto", problem="multi_label_classification", class_weights=weights)(logits, several)
    pos = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    torch.testing.assert_close(ours, nn.BCEWithLogitsLoss(pos_weight=pos)(logits, several) * N)


@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("auto", {}, nn.MSELoss()),
        ("mse", {}, nn.MSELoss()),
        ("l1", {}, nn.L1Loss()),
        ("huber", {"delta": 0.3}, nn.HuberLoss(delta=0.3)),
    ],
)
@pytest.mark.parametrize("width", [1, K])
def test_regression_is_torchs(name: str, options: dict[str, float], theirs: nn.Module, width: int) -> None:
    generator = torch.Generator().manual_seed(2)
    logits, labels = torch.randn(N, width, generator=generator), torch.randn(N, width, generator=generator)
    ours = make_loss(name, problem="regression", **options)
    torch.testing.assert_close(ours(logits, labels), theirs(logits, labels) * N)
    if width == 1:  # one number for an example, as a column of labels is
        torch.testing.assert_close(ours(logits, labels[:, 0]), theirs(logits, labels) * N)


def test_kl_of_soft_targets_and_of_labels(logits: Tensor, labels: Tensor) -> None:
    soft = torch.rand(N, K, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    soft = soft / soft.sum(-1, keepdim=True)
    t, p = soft.numpy(), softmax(logits)
    assert make_loss("kl")(logits, soft).item() == pytest.approx(float((t * np.log(t / p)).sum()))
    torch.testing.assert_close(make_loss("kl")(logits, labels), make_loss("cross_entropy")(logits, labels))


def test_kl_with_smoothing_has_the_gradient_of_cross_entropy_with_smoothing(logits: Tensor, labels: Tensor) -> None:
    gradients = [
        torch.autograd.grad(make_loss(name, label_smoothing=0.2)(logits, labels), logits)[0]
        for name in ("kl", "cross_entropy")
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_ignored_tokens_count_for_nothing(name: str, logits: Tensor, labels: Tensor) -> None:
    masked = labels.clone()
    masked[2:4] = -100
    kept = torch.tensor([0, 1, 4, 5, 6])
    for weights in (None, WEIGHTS):
        loss = make_loss(name, class_weights=weights)
        torch.testing.assert_close(loss(logits, masked), loss(logits[kept], labels[kept]))


def test_parts_add_up_to_the_whole(logits: Tensor, labels: Tensor, several: Tensor) -> None:
    numbers = torch.linspace(-1, 1, N, dtype=torch.float64)
    cases: dict[Any, tuple[Tensor, Tensor]] = {
        "single_label_classification": (logits, labels),
        "multi_label_classification": (logits, several),
        "regression": (logits[:, :1], numbers),
    }
    for problem, (given, target) in cases.items():
        for name in FITTING[problem]:
            loss = make_loss(name, problem=problem)
            torch.testing.assert_close(
                loss(given[:3], target[:3]) + loss(given[3:], target[3:]), loss(given, target), msg=name
            )


@pytest.mark.parametrize(
    ("name", "problem", "options", "message"),
    [
        ("mse", "single_label_classification", {}, "does not fit single_label"),
        ("cross_entropy", "regression", {}, "does not fit regression"),
        ("auto", "regression", {"label_smoothing": 0.1}, "loss.label_smoothing is not read by the loss mse"),
        ("cross_entropy", "single_label_classification", {"gamma": 2.0}, "loss.gamma is not read"),
        ("mse", "regression", {"class_weights": [1.0]}, "loss.class_weights is not read"),
    ],
)
def test_what_a_loss_does_not_read_is_refused(name: str, problem: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_loss(name, problem=problem, **options)


def test_options_of_none_are_not_given(logits: Tensor, labels: Tensor) -> None:
    make_loss("cross_entropy", gamma=None, delta=None, class_weights=None)(logits, labels)


def test_balanced_weights_make_labels_count_alike() -> None:
    counts = {"a": 30, "b": 10, "c": 0}
    weights = class_weights("balanced", ["a", "b", "c"], counts)
    assert weights == [pytest.approx(40 / 60), pytest.approx(2.0), 1.0]
    assert class_weights({"b": 3}, ["a", "b"], {}) == [1.0, 3.0]
    assert class_weights(None, ["a"], {}) is None
    with pytest.raises(ConfigError, match=r"names 'bb'.*did you mean 'b'"):
        class_weights({"bb": 3}, ["a", "b"], {})


def kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> Any:
    return (p * np.log(p / q)).sum(-1)


def test_divergence_is_half_of_both_directions(logits: Tensor, labels: Tensor) -> None:
    other = logits.detach() * 0.3 + 1
    ours = divergence({"labels": labels}, {"logits": logits}, {"logits": other})
    p, q = softmax(logits), softmax(other)
    assert ours.item() == pytest.approx(float((kl(p, q) + kl(q, p)).sum() / 2), rel=1e-5)


def test_divergence_of_tokens_leaves_out_those_without_a_label() -> None:
    a, b = torch.randn(2, 3, K, generator=torch.Generator().manual_seed(4)).split(1)
    labels = torch.tensor([[1, -100, 0]])
    ours = divergence({"labels": labels}, {"logits": a}, {"logits": b})
    kept = [divergence({"labels": labels[:, i]}, {"logits": a[:, i]}, {"logits": b[:, i]}) for i in (0, 2)]
    torch.testing.assert_close(ours, kept[0] + kept[1])


def test_divergence_of_several_labels_is_that_of_coins(logits: Tensor, several: Tensor) -> None:
    other = logits.detach() * 0.3 + 1
    ours = divergence({"labels": several}, {"logits": logits}, {"logits": other})
    p, q = torch.sigmoid(logits).detach().numpy(), torch.sigmoid(other).numpy()
    coins = [np.stack([x, 1 - x], -1) for x in (p, q)]
    expected = ((kl(*coins) + kl(*coins[::-1])) / 2).mean(-1).sum()
    assert ours.item() == pytest.approx(float(expected), rel=1e-5)


def test_divergence_of_spans_is_over_places_that_can_be_answers() -> None:
    """Of three windows of [CLS], question, context and padding; the answer of the last is not known."""
    generator = torch.Generator().manual_seed(5)
    one, two = (
        {name: torch.randn(3, 8, generator=generator) for name in ("start_logits", "end_logits")} for _ in range(2)
    )
    one["start_logits"].requires_grad_()
    batch = {"context_begins": torch.tensor([2, 3, 2]), "context_ends": torch.tensor([8, 5, 6])}
    batch |= {f"{end}_positions": torch.tensor([0, 4, -100]) for end in ("start", "end")}
    ours = divergence(batch, one, two)
    expected = 0.0
    for row, places in enumerate([[0, *range(2, 8)], [0, 3, 4]]):
        for name in ("start_logits", "end_logits"):
            p, q = softmax(one[name][row, places]), softmax(two[name][row, places])
            expected += float(kl(p, q) + kl(q, p)) / 4
    assert ours.item() == pytest.approx(expected, rel=1e-4)
    ours.backward()
    gradient = one["start_logits"].grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient[2].abs().sum() == 0
    assert (gradient[0] != 0).tolist() == [True, False, *[True] * 6]


def test_divergence_of_numbers_is_refused() -> None:
    with pytest.raises(DataError, match="R-Drop"):
        divergence({"labels": torch.zeros(2)}, {"logits": torch.zeros(2, 1)}, {"logits": torch.zeros(2, 1)})
