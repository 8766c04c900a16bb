"""Baseline networks with something to say of every token: its tag, or whether an answer begins or ends there."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bertkit.errors import ConfigError
from bertkit.models.crf import ChainScores
from bertkit.models.dropout import Dropout
from bertkit.models.network import Backbone, Network
from bertkit.models.objective import Batch, GraphInputs


class Tagger(Network):
    """Tags over the states of tokens, by a softmax or a CRF; `facts` add `labels`, `tagging_head`, `tagging_constrained`."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__(facts)
        _refuse_bag(facts, "tags")
        self.backbone = Backbone(facts)
        self.dropout = Dropout(facts["dropout"])
        self.classifier = nn.Linear(self.backbone.encoder.width, len(facts["labels"]))
        learnt = facts["tagging_head"] == "crf"
        self.crf = ChainScores(facts["labels"], learnt=learnt, constrained=facts["tagging_constrained"])

    def states(self, batch: Batch) -> Tensor:
        """(rows, length, width)."""
        found: Tensor = self.backbone.encoder(*self.backbone.embed(batch))
        return found


class SpanFinder(Network):
    """An answer's first and last token, by states that know the question.

    As in DrQA (Chen et al. 2017), each token is read with the part of the question that it attends to, and with whether it
    stands in the question; a state is then scored against one vector of the question. Question and context go through the
    backbone together, as a BERT reads them.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__(facts)
        _refuse_bag(facts, "spans")
        size = facts["embedding_dim"]
        self.backbone = Backbone(facts, extra=size + 1)
        width = self.backbone.encoder.width
        self.align = nn.Linear(size, size)
        self.query = nn.Linear(width, 1, bias=False)
        self.dropout = Dropout(facts["dropout"])
        self.ends = nn.Linear(width, 2)
        self.questions = nn.Linear(width, 2 * width)

    @property
    def graph_inputs(self) -> GraphInputs:
        return super().graph_inputs | {"context_begins": ("rows",)}

    def forward(self, batch: Batch) -> Tensor:
        """Logits of start and end, (rows, length, 2)."""
        states, _, share = self.read(batch)
        question = self.questions((share.to(states.dtype)[..., None] * states).sum(1)).unflatten(-1, (-1, 2))
        logits: Tensor = self.ends(states) + states @ question
        return logits

    def read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The states; how much each token takes from each of the question's, (rows, length, length); and how much of
        each the question's vector takes, (rows, length)."""
        embedded, real = self.backbone.embed(batch)
        ids, begins = batch["input_ids"], batch["context_begins"][:, None]
        places = torch.arange(ids.shape[1], device=ids.device)
        # After [CLS]; with the [SEP] that ends it, so that there is one token at least.
        asked = (places > 0) & (places < begins)
        keys = torch.relu(self.align(embedded))
        weights = (keys @ keys.transpose(1, 2)).float().masked_fill(~asked[:, None], -torch.inf).softmax(-1)
        same = ((ids[:, :, None] == ids[:, None, :]) & asked[:, None]).any(-1, keepdim=True)
        aligned = weights.to(embedded.dtype) @ embedded
        features = torch.cat([embedded, aligned, same.to(embedded.dtype)], -1) * real[..., None]
        states = self.dropout(self.backbone.encoder(features, real))
        share = self.query(states).squeeze(-1).float().masked_fill(~asked, -torch.inf).softmax(1)
        return states, weights, share


def _refuse_bag(facts: Mapping[str, Any], what: str) -> None:
    if facts["backbone"] == "bag":
        raise ConfigError(f"a bag of words knows no neighbours, and {what} need them", remedy="Set model.backbone=rnn.")
