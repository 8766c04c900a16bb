"""Run a trained model over texts: every text once, in its own order, whatever the batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bertkit.data.encoding import EncodedTexts
from bertkit.training.loop import to_tensors


def predict_logits(
    model: nn.Module,
    logits: Callable[[dict[str, Tensor]], Tensor],
    texts: EncodedTexts,
    *,
    batch_size: int,
    device: Any,
) -> NDArray[np.float32]:
    """Scores of every text, shape (texts, labels), row i for text i."""
    was_training = model.training
    model.eval()
    rows: dict[int, NDArray[np.float32]] = {}
    with torch.inference_mode():
        for chosen, arrays in texts.in_length_order(batch_size):
            scores = logits(to_tensors(arrays, device)).float().cpu().numpy()
            rows.update(zip(chosen.tolist(), scores, strict=True))
    model.train(was_training)
    return np.stack([rows[i] for i in range(len(rows))])
