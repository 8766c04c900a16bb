"""Losses of fine-tuned heads by name, as sums over examples that callers divide, and how far two predictions are apart."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from bertkit.errors import ConfigError, DataError, did_you_mean

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
Loss = Callable[[Tensor, Tensor], Tensor]

IGNORED = -100
"""A label that counts towards no loss."""

FITTING: dict[str, tuple[str, ...]] = {
    "single_label_classification": ("cross_entropy", "focal", "bce", "kl"),
    "multi_label_classification": ("bce", "focal"),
    "regression": ("mse", "l1", "huber"),
}
"""The losses of each kind of label; the first is `auto`."""


def make_loss(
    type: str = "auto", *, problem: Problem = "single_label_classification", class_weights: Any = None, **options: Any
) -> Loss:
    """The loss `type` as a function of logits and labels to a scalar: its sum over the examples.

    | name | labels | reads |
    |---|---|---|
    | cross_entropy | (n,) int, -100 ignored | `label_smoothing` (0), `class_weights` |
    | focal (Lin et al. 2017) | (n,) int over a softmax; (n, k) of 0 and 1 over sigmoids | `gamma` (2), `class_weights`; `alpha` |
    | bce, the mean over the labels of an example | (n, k) from 0 to 1; (n,) int | `class_weights`, of the positives |
    | mse, l1, huber, the mean over the numbers of an example | (n,) or (n, k) | huber: `delta` (1) |
    | kl, from the target to the prediction | (n, k), each row a distribution; (n,) int | `label_smoothing` (0) |

    Logits have the shape (n, k). The sums are to be divided by the number of examples, weighted or not: `balanced`
    weights have a mean of 1 over the examples, so that the size of the loss stays.

    Args:
        class_weights: numbers in the order of the labels.
        options: those that the loss reads; None counts as not given.

    Raises:
        ConfigError: the loss does not fit the labels, or does not read an option.
    """
    name = FITTING[problem][0] if type == "auto" else type
    if name not in FITTING[problem]:
        raise ConfigError(
            f"loss.type {name!r} does not fit {problem}", remedy=f"Choose one of: {', '.join(FITTING[problem])}."
        )
    function = _FUNCTIONS[name]
    given = {option: value for option, value in options.items() if value is not None}
    if class_weights is not None:
        given["class_weights"] = torch.tensor(class_weights, dtype=torch.float32)
    read = set(signature(function).parameters) - {"logits", "labels"}
    if unread := sorted(given.keys() - read):
        raise ConfigError(
            f"loss.{unread[0]} is not read by the loss {name}", remedy=f"It reads: {', '.join(sorted(read)) or 'none'}."
        )
    return partial(function, **given)


def class_weights(
    given: Literal["balanced"] | Mapping[str, float] | None, labels: Sequence[str], counts: Mapping[str, int]
) -> list[float] | None:
    """Weights in the order of `labels`; a label that `given` leaves out weighs 1.

    `balanced` is examples / (labels x examples of the label), from the `counts` of the training split; a label without
    examples weighs 1.

    Raises:
        ConfigError: `given` names a label that the task has not.
    """
    if given is None:
        return None
    if given == "balanced":
        total, seen = sum(counts.get(label, 0) for label in labels), sum(counts.get(label, 0) > 0 for label in labels)
        return [total / (seen * counts[label]) if counts.get(label) else 1.0 for label in labels]
    if unknown := sorted(given.keys() - set(labels)):
        raise ConfigError(
            f"loss.class_weights names {unknown[0]!r}, which is none of the task's labels"
            f"{did_you_mean(unknown[0], list(labels))}"
        )
    return [float(given.get(label, 1.0)) for label in labels]


def divergence(batch: Mapping[str, Tensor], first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
    """How far two outputs for the same batch are apart: half the two Kullback-Leibler divergences, a sum over examples.

    Of `logits` (rows, classes) it is that of their softmax, or of their sigmoids, averaged over the labels, where labels
    are (rows, classes) of 0 and 1; of (rows, length, classes), one for each label that is not -100; of `start_logits` and
    `end_logits` (rows, length), the mean of both, over the places that can be an answer and windows whose answer is known.

    Raises:
        DataError: outputs are numbers, not distributions.
    """
    if "start_logits" in first:
        return (_of_places(batch, first, second, "start") + _of_places(batch, first, second, "end")) / 2
    a, b, labels = first["logits"], second["logits"], batch["labels"]
    if labels.is_floating_point():
        if labels.ndim < 2 or a.shape[-1] == 1:
            raise DataError("R-Drop compares distributions, and this task predicts numbers", remedy="Leave r_drop out.")
        # A sigmoid is a softmax over (x, 0).
        a, b = (torch.stack([x, torch.zeros_like(x)], -1) for x in (a, b))
        return _symmetric(a, b).mean(-1).sum()
    apart = _symmetric(a, b)
    return apart.masked_fill(labels == IGNORED, 0.0).sum() if labels.shape == apart.shape else apart.sum()


def _of_places(
    batch: Mapping[str, Tensor], first: Mapping[str, Tensor], second: Mapping[str, Tensor], end: str
) -> Tensor:
    """Of the softmax over [CLS] and the context: what padding there is must not count."""
    a, b = first[f"{end}_logits"], second[f"{end}_logits"]
    places = torch.arange(a.shape[1], device=a.device)
    outside = (places < batch["context_begins"][:, None]) | (places >= batch["context_ends"][:, None])
    outside[:, 0] = False
    apart = _symmetric(a.masked_fill(outside, -torch.inf), b.masked_fill(outside, -torch.inf))
    return apart.masked_fill(batch[f"{end}_positions"] == IGNORED, 0.0).sum()


def _symmetric(a: Tensor, b: Tensor) -> Tensor:
    p, q = a.float().log_softmax(-1), b.float().log_softmax(-1)
    # (p - q) * (log p - log q), half of it, is the mean of both divergences; what both rule out takes no part.
    return ((p.exp() - q.exp()) * (p - q).nan_to_num(0.0, 0.0, 0.0)).sum(-1) / 2


def _cross_entropy(
    logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    weights = _like(class_weights, logits)
    return functional.cross_entropy(
        logits, labels, weight=weights, reduction="sum", ignore_index=IGNORED, label_smoothing=label_smoothing
    )


def _focal(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    if labels.is_floating_point():
        return _sigmoid_focal(logits, labels, gamma, alpha, _like(class_weights, logits))
    if alpha is not None:
        raise ConfigError(
            "loss.alpha weighs the positives of multi-label tasks; this one has one label for an example",
            remedy="Set loss.class_weights.",
        )
    wrong = functional.cross_entropy(logits, labels, reduction="none", ignore_index=IGNORED)
    weights = _like(class_weights, logits)
    scale = 1.0 if weights is None else weights[labels.clamp(min=0)]
    return (scale * _doubt(wrong) ** gamma * wrong).sum()


def _sigmoid_focal(
    logits: Tensor, labels: Tensor, gamma: float, alpha: float | None, class_weights: Tensor | None
) -> Tensor:
    wrong = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    loss = _doubt(wrong) ** gamma * wrong
    if alpha is not None:
        loss = loss * (alpha * labels + (1.0 - alpha) * (1.0 - labels))
    if class_weights is not None:
        loss = loss * class_weights
    return loss.mean(-1).sum()


def _doubt(wrong: Tensor) -> Tensor:
    """1 - p, from -log p; kept above 0, where powers below 1 have no derivative."""
    return (-torch.expm1(-wrong)).clamp(min=1e-12)


def _bce(logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None) -> Tensor:
    loss = functional.binary_cross_entropy_with_logits(
        logits, _distributions(logits, labels), reduction="none", pos_weight=_like(class_weights, logits)
    )
    return loss.mean(-1).sum()


def _mse(logits: Tensor, labels: Tensor) -> Tensor:
    return ((logits - labels.view_as(logits)) ** 2).mean(-1).sum()


def _l1(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits - labels.view_as(logits)).abs().mean(-1).sum()


def _huber(logits: Tensor, labels: Tensor, *, delta: float = 1.0) -> Tensor:
    return functional.huber_loss(logits, labels.view_as(logits), reduction="none", delta=delta).mean(-1).sum()


def _kl(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    target = _distributions(logits, labels)
    target = target * (1.0 - label_smoothing) + label_smoothing / logits.shape[-1]
    return functional.kl_div(logits.log_softmax(-1), target, reduction="sum")


def _distributions(logits: Tensor, labels: Tensor) -> Tensor:
    """Labels as (n, k): numbers of classes become rows of 0 with a 1."""
    if labels.is_floating_point():
        return labels
    return functional.one_hot(labels, logits.shape[-1]).to(logits.dtype)


def _like(weights: Tensor | None, logits: Tensor) -> Tensor | None:
    return None if weights is None else weights.to(logits)


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
    "bce": _bce,
    "mse": _mse,
    "l1": _l1,
    "huber": _huber,
    "kl": _kl,
}
