"""Options of the stage `finetune`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from bertkit.stages.training_config import Above0, Positive, Share, TrainingConfig


class FinetuneConfig(TrainingConfig):
    """How to fine-tune a BERT. `max_steps`, where given, stands instead of `num_train_epochs`."""

    init: Literal["pretrained", "random"] = "pretrained"
    """Start from the weights of `start`, or from random ones of the same shape: what pretraining is measured against."""
    name: str | None = None
    """What reports call the model; by default, `BERT, pretrained` or `BERT, random weights`."""
    max_seq_length: Annotated[int, Field(ge=5)] = 128
    """Tokens read at once, special tokens counted in. Of a text to classify the rest is lost, and counted, of a pair
    that of the longer text first; sentences to tag and contexts of questions are read in windows."""
    num_train_epochs: Above0 = 3.0
    """Passes over the training split."""
    learning_rate: Above0 = 5e-5
    """Peak of the learning rate."""
    dropout: Share | None = None
    """Dropout on layers, attention weights and before the classifier; by default the model's own."""
    reinit_layers: Annotated[int, Field(ge=0)] | None = None
    """New weights for the pooler and so many top layers, which pretraining may have spoilt for the task; null keeps all."""
    eval_steps: Positive | None = None
    """Steps between two measurements on the validation split, and checkpoints; by default, once an epoch."""
    early_stopping_patience: Positive | None = 3
    """Stop after this many measurements without a better one; null never stops."""
    metric_for_best_model: str = "primary"
    """What says which weights are kept: `loss`, `primary` for the task's own metric, or any metric of its scores."""

    @property
    def display_name(self) -> str:
        return self.name or ("BERT, pretrained" if self.init == "pretrained" else "BERT, random weights")

    def settings(self, kind: str) -> dict[str, Any]:
        """What a model of this kind of task keeps, to read new rows as it read those it learnt from."""
        block = getattr(self, kind, None)
        own = block.model_dump(mode="json") if block is not None else {}
        return {"max_seq_length": self.max_seq_length, **own}

    def loss_options(self) -> dict[str, Any]:
        """The block `loss` as plain values."""
        block = getattr(self, "loss", None)
        return block.model_dump(mode="json") if block is not None else {}
