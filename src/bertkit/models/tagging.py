"""A tag for each token: a softmax or a CRF over the states of the tokens' pieces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertForTokenClassification

from bertkit.errors import ConfigError
from bertkit.models import bert
from bertkit.models.crf import ChainScores
from bertkit.models.losses import Loss, make_loss
from bertkit.models.objective import Batch, GraphInputs, Sums, TaskObjective
from bertkit.models.token_networks import Tagger

IGNORED = -100


class BertTagger(BertForTokenClassification):  # type: ignore[misc]  # transformers is untyped
    """A `BertForTokenClassification` that may hold a CRF; its folder loads as one without, which leaves the CRF out."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        labels = [config.id2label[i] for i in range(config.num_labels)]
        learnt = getattr(config, "tagging_head", "softmax") == "crf"
        self.crf = ChainScores(labels, learnt=learnt, constrained=getattr(config, "tagging_constrained", True))

    def _init_weights(self, module: Any) -> None:
        """Also called for what a folder lacks, whose memory holds anything until then."""
        if isinstance(module, ChainScores):
            module.reset_parameters()
        else:
            super()._init_weights(module)


class TaggingLoss(TaskObjective):
    """Loss and tags of a `BertTagger` or a baseline's `Tagger`: `loss` of each token, by default cross-entropy, or the CRF's of each window."""

    def __init__(
        self, model: BertTagger | Tagger, *, pooling: Literal["first", "mean"], loss: Loss | None = None
    ) -> None:
        super().__init__()
        self.model = model if isinstance(model, Tagger) else bert.quickened(model)
        self._pooling, self._loss = pooling, loss or make_loss()
        self._learnt = model.crf.learnt

    @property
    def graph_inputs(self) -> GraphInputs:
        return super().graph_inputs | dict.fromkeys(("word_begins", "word_ends"), ("rows", "words"))

    def outputs(self, batch: Batch) -> dict[str, Tensor]:
        """`logits` (rows, tokens, labels); in evaluation also `probabilities` of that shape and `tags` (rows, tokens)."""
        logits = self.logits(batch)
        return logits if self.training else self.decode(logits, batch)

    def logits(self, batch: Batch) -> dict[str, Tensor]:
        states = self.model.states(batch) if isinstance(self.model, Tagger) else bert.last_states(self.model, batch)
        pooled = pool_pieces(states, batch["word_begins"], batch["word_ends"], self._pooling)
        return {"logits": self.model.classifier(self.model.dropout(pooled)).float()}

    def decode(self, logits: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        return {**logits, **self._decoded(logits["logits"], batch)}

    def _decoded(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        crf, place = self.model.crf, (_mask(batch), batch["edges"])
        scores = logits if self._learnt else logits.log_softmax(-1)
        probabilities = crf.marginals(scores, *place) if self._learnt else scores.exp()
        return {"probabilities": probabilities, "tags": crf.decode(scores, *place)}

    def sums(self, batch: Batch, outputs: dict[str, Tensor]) -> Sums:
        """`loss`, `correct` and `count` over tokens; `correct` before any constraint."""
        logits, labels = outputs["logits"], batch["labels"]
        known = labels != IGNORED
        if self._learnt:
            loss = -self.model.crf.log_likelihood(logits, labels, _mask(batch), batch["edges"]).sum()
        else:
            loss = self._loss(logits[known], labels[known])
        return {"loss": loss, "correct": (logits.argmax(-1) == labels)[known].sum(), "count": known.sum()}


def _mask(batch: Batch) -> Tensor:
    """True at tokens. A token's pieces begin after [CLS], so a place of padding is known by its beginning, 0."""
    return batch["word_begins"] > 0


def pool_pieces(states: Tensor, begins: Tensor, ends: Tensor, pooling: Literal["first", "mean"]) -> Tensor:
    """The states of tokens, (rows, tokens, hidden), from those of pieces: of the first, or the mean of all."""
    rows = torch.arange(states.shape[0], device=states.device)[
        :, None
    ]  # `len` would fix the number in an exported graph
    if pooling == "first":
        picked: Tensor = states[rows, begins]
        return picked
    sums = functional.pad(states.float().cumsum(1), (0, 0, 1, 0))
    mean = (sums[rows, ends] - sums[rows, begins]) / (ends - begins)[..., None]
    return mean.to(states.dtype)


def new_tagger(
    folder: Path,
    labels: list[str],
    *,
    head: Literal["softmax", "crf"],
    constrained: bool,
    init: Literal["pretrained", "random"],
    dropout: float | None,
    seed: int,
    reinit_layers: int | None,
) -> BertTagger:
    """A tagger over BIO `labels` from the BERT in `folder`; see `bert.new_head`."""
    values = {"tagging_head": head, "tagging_constrained": constrained}
    model: BertTagger = bert.new_head(
        BertTagger,
        folder,
        bert.label_names(labels) | values,
        new=("classifier.", "crf."),
        init=init,
        dropout=dropout,
        seed=seed,
        reinit_layers=reinit_layers,
    )
    return model


def load_tagger(folder: Path) -> BertTagger:
    """A fine-tuned tagger, complete."""
    model: BertTagger = bert.load_head(BertTagger, folder)
    return model


def token_loss(head: Literal["softmax", "crf"], options: Mapping[str, Any], weights: list[float] | None) -> Loss | None:
    """The loss of finetune's block `loss`; `weights` stand for its class weights. A CRF has its own.

    Raises:
        ConfigError: the loss does not fit, or a CRF is asked for another.
    """
    rest = {name: value for name, value in options.items() if name != "class_weights"}
    if head == "softmax":
        return make_loss(class_weights=weights, **rest)
    if weights is not None or any(value != "auto" for value in rest.values()):
        remedy = "Leave the block loss out, or set tagging.head=softmax."
        raise ConfigError("a CRF learns by its likelihood: it reads no options of loss", remedy=remedy)
    return None
