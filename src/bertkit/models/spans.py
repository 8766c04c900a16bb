"""The first and last token of an answer."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from transformers import BertForQuestionAnswering

from bertkit.models import bert
from bertkit.models.objective import Batch, Sums, TaskObjective
from bertkit.models.token_networks import SpanFinder

IGNORED = -100


class SpansLoss(TaskObjective):
    """The mean of the cross-entropies of an answer's first and last token, of a `BertForQuestionAnswering` or a `SpanFinder`.

    Places that can be no answer (the question, padding) take no part; [CLS] stands for none in the window.
    """

    def __init__(self, model: BertForQuestionAnswering | SpanFinder, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.model = model if isinstance(model, SpanFinder) else bert.quickened(model)
        self._smoothing = label_smoothing

    def outputs(self, batch: Batch) -> dict[str, Tensor]:
        """`start_logits` and `end_logits`, (rows, length)."""
        if isinstance(self.model, SpanFinder):
            logits = self.model(batch)
        else:
            logits = self.model.qa_outputs(bert.last_states(self.model, batch))
        start, end = logits.float().unbind(-1)
        return {"start_logits": start, "end_logits": end}

    def sums(self, batch: Batch, outputs: dict[str, Tensor]) -> Sums:
        """`loss`, `correct` (both ends) and `count` over windows whose answer is known."""
        places = torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device)
        inside = (places >= batch["context_begins"][:, None]) & (places < batch["context_ends"][:, None])
        allowed = inside | (places == 0)
        known = batch["start_positions"] != IGNORED
        loss = outputs["start_logits"].new_zeros(())
        correct = known.clone()
        for end in ("start", "end"):
            logits, gold = outputs[f"{end}_logits"], batch[f"{end}_positions"]
            logits = logits.masked_fill(~allowed, -1e4)
            correct &= logits.argmax(-1) == gold
            loss = loss + self._cross_entropy(logits[known], gold[known], allowed[known]) / 2
        return {"loss": loss, "correct": correct.sum(), "count": known.sum()}

    def _cross_entropy(self, logits: Tensor, gold: Tensor, allowed: Tensor) -> Tensor:
        hard = functional.cross_entropy(logits, gold, reduction="sum")
        if not self._smoothing:
            return hard
        # Smoothed over the places that are allowed, not over padding.
        spread = -(logits.log_softmax(-1).masked_fill(~allowed, 0.0).sum(-1) / allowed.sum(-1)).sum()
        return (1 - self._smoothing) * hard + self._smoothing * spread


def new_span_model(
    folder: Path,
    *,
    init: Literal["pretrained", "random"],
    dropout: float | None,
    seed: int,
    reinit_layers: int | None,
    matching_heads: int = 0,
) -> BertForQuestionAnswering:
    """A span model from the BERT in `folder`; see `bert.new_head`."""
    return bert.new_head(
        BertForQuestionAnswering,
        folder,
        {},
        new=("qa_outputs.",),
        init=init,
        dropout=dropout,
        seed=seed,
        reinit_layers=reinit_layers,
        matching_heads=matching_heads,
    )


def load_span_model(folder: Path) -> BertForQuestionAnswering:
    """A fine-tuned span model, complete."""
    return bert.load_head(BertForQuestionAnswering, folder)
