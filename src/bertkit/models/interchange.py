"""A trained BERT as transformers' own classes read its folder: what others will get."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from bertkit.models.bert import require_bert, without_messages
from bertkit.models.objective import Batch
from bertkit.models.pretrained import MaskedWords

_CLASSES: dict[str, Any] = {
    "pretraining": AutoModelForMaskedLM,
    "classification": AutoModelForSequenceClassification,
    "tagging": AutoModelForTokenClassification,
    "spans": AutoModelForQuestionAnswering,
}


def class_name(folder: Path, kind: str, settings: dict[str, Any]) -> str | None:
    """The transformers class that gives what bertkit gives for a model of this kind, None where none does.

    Windows pooled to one vector, and tokens' states that are means of their pieces, are bertkit's own.
    """
    own = settings.get("window_pooling") is not None or settings.get("pooling") == "mean"
    return None if own or not (folder / "config.json").is_file() else _CLASSES[kind].__name__


_READ_OUT = {
    "classification": ("print(model.config.id2label[int(logits.argmax())])",),
    "several labels": ("print(dict(zip(model.config.id2label.values(), logits[0].sigmoid().tolist())))",),
    "number": ("print(logits.tolist())",),
    "tagging": (
        "tags = [model.config.id2label[i] for i in logits[0].argmax(-1).tolist()]",
        'print(list(zip(tokenizer.convert_ids_to_tokens(inputs["input_ids"][0]), tags)))',
    ),
    "pretraining": (
        'gap = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)',
        "print(tokenizer.decode(logits[0, gap].argmax()))",
    ),
    "spans": (
        "start, end = int(found.start_logits.argmax()), int(found.end_logits.argmax())",
        'print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))',
    ),
}
_PROBLEMS = {"regression": "number", "multi_label_classification": "several labels"}


def snippet(
    kind: str, repo: str, texts: Sequence[str], *, problem_type: str | None = None, max_length: int | None = None
) -> list[str]:
    """The lines by which that class reads a repository and gives its best guess for one input of `texts`.

    Args:
        max_length: where longer texts are cut, if they are.
    """
    name = _CLASSES[kind].__name__
    given = ", ".join(f'"{text}"' for text in texts)
    cut = "" if max_length is None else f", truncation=True, max_length={max_length}"
    outputs = ("found = model(**inputs)",) if kind == "spans" else ("logits = model(**inputs).logits",)
    return [
        f"from transformers import AutoTokenizer, {name}",
        "",
        f'tokenizer = AutoTokenizer.from_pretrained("{repo}")',
        f'model = {name}.from_pretrained("{repo}")',
        f'inputs = tokenizer({given}{cut}, return_tensors="pt")',
        *outputs,
        *_READ_OUT[_PROBLEMS.get(problem_type or "", kind)],
    ]


@torch.inference_mode()
def transformers_outputs(folder: Path, kind: str, batch: Batch) -> dict[str, Tensor]:
    """What that class gives for a micro-batch, under the names of `TaskObjective.outputs`.

    Raises:
        StageError: the folder holds no BERT.
    """
    require_bert(folder)
    names = ("input_ids", "token_type_ids", "attention_mask")
    with without_messages():
        model = _CLASSES[kind].from_pretrained(folder, local_files_only=True).eval()
    found = model(**{name: batch[name] for name in names if name in batch})
    if kind == "spans":
        return {"start_logits": found.start_logits, "end_logits": found.end_logits}
    logits: Tensor = found.logits
    if kind == "tagging":
        rows = torch.arange(len(logits))[:, None]
        logits = logits[rows, batch["word_begins"]]
    return {"logits": logits}


@torch.inference_mode()
def masked_lm_difference(folder: Path) -> float:
    """The largest difference between the masked-LM probabilities of transformers' class and of ours, for some ids.

    Raises:
        StageError: the folder holds no BERT with a masked-LM head.
    """
    config = require_bert(folder)
    ids = torch.arange(min(config["vocab_size"], config["max_position_embeddings"], 16))[None]
    batch = {"input_ids": ids, "token_type_ids": torch.zeros_like(ids)}
    (theirs,) = transformers_outputs(folder, "pretraining", batch).values()
    ours = MaskedWords(folder)(batch, torch.zeros_like(ids[0]), torch.arange(ids.shape[1]))
    return float((ours - theirs[0].float().softmax(-1)).abs().max())
