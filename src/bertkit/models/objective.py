"""What a fine-tuned model is trained by and asked for."""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

Batch = dict[str, Tensor]
Sums = dict[str, Tensor]
GraphInputs = dict[str, tuple[str, ...]]
"""What a network reads of a batch, and the names of its dimensions, which are equal where their names are."""

_OF_BERT: GraphInputs = dict.fromkeys(("input_ids", "token_type_ids", "attention_mask"), ("rows", "length"))


class TaskObjective(nn.Module):
    """A network as `.model`, a Hugging Face class or a `Network`, which `save_pretrained` writes whole; its loss as sums."""

    model: Any

    @property
    def graph_inputs(self) -> GraphInputs:
        """What of a batch `logits` reads."""
        return dict(getattr(self.model, "graph_inputs", _OF_BERT))

    def forward(self, batch: Batch) -> Sums:
        """Sums over a micro-batch, scalars: `loss`, `count`, and figures such as `correct`."""
        return self.sums(batch, self.outputs(batch))

    @abstractmethod
    def outputs(self, batch: Batch) -> dict[str, Tensor]:
        """What predictions are made of, by name, each of shape (rows, ...)."""

    def logits(self, batch: Batch) -> dict[str, Tensor]:
        """Those of `outputs` that the network gives itself; `decode` makes the others of them."""
        return self.outputs(batch)

    def decode(self, logits: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The outputs, from `logits` of the same batch."""
        return logits

    @abstractmethod
    def sums(self, batch: Batch, outputs: dict[str, Tensor]) -> Sums:
        """The sums, from what `outputs` gave for the same batch."""
