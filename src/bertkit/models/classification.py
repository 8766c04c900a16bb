"""One vector a text for a head: one label, several, or a number; a BERT reads long texts in several windows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

from bertkit.models import bert
from bertkit.models.losses import Loss, Problem, make_loss
from bertkit.models.network import Classifier
from bertkit.models.objective import Batch, GraphInputs, Sums, TaskObjective

Pooling = Literal["mean", "max", "attention"]


class BertWindowClassifier(BertForSequenceClassification):  # type: ignore[misc]  # transformers is untyped
    """A `BertForSequenceClassification` that may look at several windows of a text at once.

    `config.window_pooling` says how: by the mean or the greatest of the windows' vectors, or by a mean whose weights are a
    softmax over one learnt score a window. Its folder loads as a `BertForSequenceClassification` too, which gives the
    same logits for texts of one window.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        if config.window_pooling == "attention":
            self.window_score = nn.Linear(config.hidden_size, 1, bias=False)
            nn.init.zeros_(self.window_score.weight)

    def _init_weights(self, module: Any) -> None:
        """Also called for what a folder lacks: attention begins as the mean."""
        if module is getattr(self, "window_score", None):
            nn.init.zeros_(self.window_score.weight)
        else:
            super()._init_weights(module)

    def pool(self, vectors: Tensor, own: Tensor) -> Tensor:
        """The vectors of texts, (texts, hidden), from those of windows, (windows, hidden).

        `own` says which windows are a text's, (texts, windows); each text has one.
        """
        pooled: Tensor
        if self.config.window_pooling == "max":
            pooled = vectors.expand(own.shape[0], -1, -1).masked_fill(~own[..., None], -torch.inf).amax(1)
        else:
            pooled = self.window_weights(vectors, own).to(vectors.dtype) @ vectors
        return pooled

    def window_weights(self, vectors: Tensor, own: Tensor) -> Tensor:
        """How much of each window a text's mean takes, (texts, windows); arguments as of `pool`."""
        scores = torch.zeros_like(vectors[:, 0])
        if self.config.window_pooling == "attention":
            scores = self.window_score(vectors).squeeze(-1)
        return scores.float().expand(own.shape).masked_fill(~own, -torch.inf).softmax(-1)


class ClassificationLoss(TaskObjective):
    """Loss and logits of a classifier; what its labels are says `config.problem_type`."""

    def __init__(self, model: BertForSequenceClassification | Classifier, loss: Loss | None = None) -> None:
        super().__init__()
        self.model = model if isinstance(model, Classifier) else bert.quickened(model)
        self._problem: Problem = model.config.problem_type or "single_label_classification"
        self._loss = loss or make_loss(problem=self._problem)

    @property
    def graph_inputs(self) -> GraphInputs:
        windows: GraphInputs = {"text_windows": ("texts", "rows")} if hasattr(self.model, "pool") else {}
        return super().graph_inputs | windows

    def outputs(self, batch: Batch) -> dict[str, Tensor]:
        """`logits`, shape (texts, labels); (texts, 1) for a number."""
        if isinstance(self.model, Classifier):
            return {"logits": self.model(batch).float()}
        pooled = bert.pooled_states(self.model, batch)
        if "text_windows" in batch:
            pooled = self.model.pool(pooled, batch["text_windows"])
        return {"logits": self.model.classifier(self.model.dropout(pooled)).float()}

    def sums(self, batch: Batch, outputs: dict[str, Tensor]) -> Sums:
        """`loss`, `count`, and `correct`: right labels, or all of a text's; of numbers `squared_error`."""
        logits, labels = outputs["logits"], batch["labels"]
        sums = {"loss": self._loss(logits, labels), "count": torch.tensor(len(labels), device=labels.device)}
        match self._problem:
            case "single_label_classification":
                sums["correct"] = (logits.argmax(-1) == labels).sum()
            case "multi_label_classification":
                sums["correct"] = ((logits > 0) == (labels > 0.5)).all(-1).sum()
            case "regression":
                sums["squared_error"] = ((logits.detach().squeeze(-1) - labels) ** 2).sum()
        return sums


def new_classifier(
    folder: Path,
    labels: Sequence[str],
    *,
    init: Literal["pretrained", "random"],
    dropout: float | None,
    seed: int,
    reinit_layers: int | None = None,
    matching_heads: int = 0,
    problem: Problem = "single_label_classification",
    window_pooling: Pooling | None = None,
) -> BertForSequenceClassification:
    """A classifier over `labels`, or of one number, from the BERT in `folder`; see `bert.new_head`."""
    names = ["score"] if problem == "regression" else list(labels)
    changes: dict[str, Any] = {**bert.label_names(names), "problem_type": problem}
    if window_pooling is not None:
        changes["window_pooling"] = window_pooling
    model: BertForSequenceClassification = bert.new_head(
        _class(window_pooling),
        folder,
        changes,
        new=("classifier.", "bert.pooler.", "window_score."),
        init=init,
        dropout=dropout,
        seed=seed,
        reinit_layers=reinit_layers,
        matching_heads=matching_heads,
    )
    return model


def load_classifier(folder: Path) -> BertForSequenceClassification:
    """A fine-tuned classifier, complete."""
    model: BertForSequenceClassification = bert.load_head(
        _class(bert.require_bert(folder).get("window_pooling")), folder
    )
    return model


def fitting_loss(problem: Problem, options: Mapping[str, Any], class_weights: Sequence[float] | None) -> Loss:
    """The loss of finetune's block `loss`; `class_weights` stand for those of the block, in the labels' order."""
    rest = {name: value for name, value in options.items() if name != "class_weights"}
    return make_loss(problem=problem, class_weights=class_weights, **rest)


def _class(window_pooling: str | None) -> Any:
    return BertForSequenceClassification if window_pooling is None else BertWindowClassifier
