"""A BERT without the head of a task: the states of a layer, and words for masks."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import BertForMaskedLM, BertModel

from bertkit.errors import StageError
from bertkit.foreign import require_safetensors
from bertkit.models import bert
from bertkit.models.objective import Batch


class Encoder(nn.Module):
    """The BERT in a folder, pretrained or fine-tuned, up to `layer`: -1 is the last one, 0 the embeddings.

    Layers above are not computed. The states are those that transformers has under `hidden_states[layer]`.

    Raises:
        StageError: the folder holds no BERT, or one with fewer layers.
    """

    def __init__(self, folder: Path, *, layer: int = -1) -> None:
        super().__init__()
        bert.require_bert(folder)
        model = bert.load_parts(BertModel, folder, may_miss=("pooler.",))
        count = len(model.encoder.layer)
        if not -count - 1 <= layer <= count:
            raise StageError(f"has layers 0 (the embeddings) to {count}, not {layer}", where=str(folder))
        model.encoder.layer = model.encoder.layer[: layer % (count + 1)]
        model.pooler = None
        self.model = bert.quickened(model).eval()
        self.max_length, self.width = int(model.config.max_position_embeddings), int(model.config.hidden_size)

    def forward(self, batch: Batch) -> Tensor:
        """The states, shape (rows, length, width)."""
        output = self.model(
            input_ids=batch["input_ids"],
            token_type_ids=batch["token_type_ids"],
            attention_mask=batch.get("attention_mask"),
        )
        states: Tensor = output.last_hidden_state
        return states


class MaskedWords(nn.Module):
    """The masked language model in a folder.

    Raises:
        StageError: the folder holds no BERT, or one without that head.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        bert.require_bert(folder)
        if not _has_masked_lm_head(folder):
            raise StageError(
                "has no masked-LM head, so it cannot fill masks",
                where=str(folder),
                remedy="Give a pretrained folder: fine-tuning keeps the encoder and trains another head.",
            )
        self.model: Any = bert.quickened(bert.load_parts(BertForMaskedLM, folder, may_miss=())).eval()
        self.max_length = int(self.model.config.max_position_embeddings)

    def forward(self, batch: Batch, rows: Tensor, places: Tensor) -> Tensor:
        """Probabilities over the vocabulary for the tokens at (rows[i], places[i]), shape (tokens, vocabulary)."""
        states = bert.last_states(self.model, batch)[rows, places]
        return torch.softmax(self.model.cls(states).float(), -1)


def _has_masked_lm_head(folder: Path) -> bool:
    require_safetensors(folder)
    with safe_open(folder / "model.safetensors", "pt") as file:
        return any(name.startswith("cls.predictions.") for name in file.keys())  # noqa: SIM118
