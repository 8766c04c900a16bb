"""One vector from the states of a text, whatever padding follows them."""

from typing import Literal

import torch
from torch import Tensor, nn

Name = Literal["max", "kmax", "mean", "l2", "attention"]


class Pooling(nn.Module):
    """States (rows, length, width) and where they are real (rows, length) to vectors (rows, `width`).

    `max`, `mean` and `l2` (the root of the sum of squares) of each number over the text; `kmax` its `k` greatest in the
    order in which they stand (Kalchbrenner et al. 2014), 0 where a text is shorter; `attention` a mean with learnt weights
    (Bahdanau et al. 2015, with a query that is learnt).
    """

    def __init__(self, name: Name, width: int, *, k: int = 1) -> None:
        super().__init__()
        self.attends = name == "attention"
        self._name, self._k = name, k
        self.width = width * k if name == "kmax" else width
        if name == "attention":
            self.project = nn.Linear(width, width)
            self.query = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, real: Tensor) -> Tensor:
        mask = real[..., None]
        pooled: Tensor
        match self._name:
            case "max":
                pooled = states.masked_fill(~mask, -torch.inf).amax(1)
            case "kmax":
                pooled = self._greatest(states, mask)
            case "mean":
                pooled = (states * mask).sum(1) / mask.sum(1)
            case "l2":
                # Above 0, where the root has no derivative.
                pooled = ((states * mask) ** 2).sum(1).clamp_min(1e-12).sqrt()
            case "attention":
                pooled = (self.weights(states, real)[..., None].to(states.dtype) * states).sum(1)
        return pooled

    def weights(self, states: Tensor, real: Tensor) -> Tensor:
        """How much of each token `attention` takes, (rows, length)."""
        scores: Tensor = self.query(torch.tanh(self.project(states))).squeeze(-1)
        return scores.float().masked_fill(~real, -torch.inf).softmax(1)

    def _greatest(self, states: Tensor, mask: Tensor) -> Tensor:
        rows, length, width = states.shape
        count = min(self._k, length)
        scores = states.masked_fill(~mask, -torch.inf)
        # Of equal values the first ones: as ONNX's TopK has it, whereas `topk` here takes any.
        if torch.compiler.is_exporting():
            places = scores.topk(count, 1).indices
        else:
            places = scores.sort(dim=1, descending=True, stable=True).indices[:, :count]
        # Padding that was taken for want of better goes behind: places stand in order, and it is 0.
        places = places.sort(1).values
        found = (states * mask).gather(1, places)
        if count < self._k:
            found = torch.cat([found, found.new_zeros(rows, self._k - count, width)], 1)
        return found.transpose(1, 2).flatten(1)
