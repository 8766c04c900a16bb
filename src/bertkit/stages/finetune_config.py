"""Options of the stage `finetune`."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bertkit.config import Config, runtime
from bertkit.stages.model_config import ModelConfig
from bertkit.stages.training_config import Above0, AtLeast0, AtLeast0Int, Below1, Positive, Share, TrainingConfig

# What only some losses read: `auto` may become any of them.
_LOSS_OPTIONS: dict[str, tuple[str, ...]] = {
    "cross_entropy": ("label_smoothing", "class_weights"),
    "focal": ("gamma", "alpha", "class_weights"),
    "bce": ("class_weights",),
    "mse": (),
    "l1": (),
    "huber": ("delta",),
    "kl": ("label_smoothing",),
}


class ClassificationConfig(Config):
    """Options of classification tasks."""

    window_pooling: Literal["mean", "max", "attention"] | None = None
    """How texts longer than `max_seq_length` are read: null cuts them; else they are read in windows, whose vectors are
    made one by their mean, their maximum, or a mean with learnt weights. For single texts."""
    window_overlap: AtLeast0Int = 32
    """Tokens that a window shares with the one before it."""
    max_windows: Positive = 8
    """Windows read of a text; of a longer one the rest is lost, and counted."""
    tune_thresholds: bool = True
    """Where a text may have several labels, choose each label's threshold by its F1 on the validation split; else 0.5."""


class LossConfig(Config):
    """What is minimised; `models/losses.py` has a table of what each loss reads."""

    type: Literal["auto", "cross_entropy", "focal", "bce", "mse", "l1", "huber", "kl"] = "auto"
    """`auto` is cross_entropy for one label, bce for several, mse for a number; for tags and spans what their head has."""
    label_smoothing: Below1 | None = None
    """Share of the target spread evenly over all labels, in cross_entropy and kl."""
    gamma: AtLeast0 | None = None
    """How far focal plays down what is known already (by default 2)."""
    alpha: Share | None = None
    """Weight of the positives in the focal loss of multi-label tasks, 1 - alpha that of the negatives."""
    delta: Above0 | None = None
    """Where huber goes from squares to distances (by default 1)."""
    class_weights: Literal["balanced"] | dict[str, AtLeast0] | None = None
    """Weight of each label's examples (in bce, of its positives): `balanced` makes labels count alike, a mapping names
    some labels and leaves the others 1."""

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        known = {option for options in _LOSS_OPTIONS.values() for option in options}
        if unread := sorted(known & self.model_fields_set - set(_LOSS_OPTIONS.get(self.type, known))):
            raise ValueError(f"{', '.join(unread)}: not read by the loss {self.type}")
        return self


class RegularizationConfig(Config):
    """What keeps a model from learning its examples by heart, beside `dropout` and `weight_decay`."""

    l1: AtLeast0 = 0.0
    """Weight of the sum of all absolute weights of matrices."""
    l2_sp: AtLeast0 = 0.0
    """Weight of half the squared distance of the encoder's weights from where they started (Li et al. 2018)."""
    input_noise: AtLeast0 = 0.0
    """Standard deviation of noise on word embeddings."""
    weight_noise: AtLeast0 = 0.0
    """Standard deviation of noise on the linear layers' matrices, another in each step."""
    r_drop: AtLeast0 = 0.0
    """Weight of the divergence between two passes with other dropout (Liang et al. 2021): twice the time."""
    mixout: Below1 = 0.0
    """Share of the encoder's linear weights that each step puts back to where they started (Lee et al. 2020)."""
    max_norm: Above0 | None = None
    """Longest that a row of a head's matrix may be after an update (Hinton et al. 2012)."""


class AdversarialConfig(Config):
    """Learning from word embeddings moved to where the loss is higher."""

    method: Literal["fgm", "pgd", "freelb"]
    """`fgm` (Miyato et al. 2017) moves once, `pgd` (Madry et al. 2018) in steps; both learn from the moved and the
    original embeddings alike. `freelb` (Zhu et al. 2020) learns at each step. 2, `steps` + 1 and `steps` passes."""
    epsilon: Above0 = 0.1
    """How far a text may be moved, by the norm over all its tokens. The embedding of one has a norm of about 1; moved by
    a tenth of the text's whole norm, nothing may be left to learn: Miyato et al. moved theirs by a sixtieth."""
    alpha: Above0 = 0.05
    """Length of a step of pgd and freelb."""
    steps: Positive = 3
    """Steps of pgd and freelb."""

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        if self.method == "fgm" and (unread := sorted({"alpha", "steps"} & self.model_fields_set)):
            raise ValueError(f"{', '.join(unread)}: not read by the method fgm")
        return self


class LayersConfig(Config):
    """What each layer of the encoder learns at; `reinit_layers` gives the top ones new weights."""

    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The learning rate of a layer as a share of the one's above it, from the head down to the embeddings."""
    head_learning_rate: Above0 | None = None
    """Peak for what the task added to the encoder; by default `learning_rate`."""
    freeze_layers: AtLeast0Int | None = None
    """Embeddings and so many of the first layers stay as they are, and cost no backward pass."""
    unfreeze_steps: Positive | Literal["epoch"] | None = None
    """Begin with the head alone and add a layer from the top after each epoch, or so many steps (Howard & Ruder 2018)."""


class AugmentationConfig(Config):
    """Changed copies of the training texts of a classification task, others in each epoch (EDA, Wei & Zou 2019).

    A text that is changed is changed by one of the operations given, drawn at random.
    """

    probability: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of texts changed in an epoch; the others are read as they are."""
    swap: Share = 0.0
    """As many pairs of words change places as this share of the words, but at least one."""
    delete: Share = 0.0
    """Probability of each word to be left out."""
    synonyms: Path | None = runtime(None)
    """File with a word and its synonyms on each line, tabs between them."""
    replace: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the words replaced by `synonyms`, at least one where one has any."""
    chinese_units: Literal["character", "word"] = "character"
    """What counts as a word of Chinese text; words need the extra `zh`."""

    @model_validator(mode="after")
    def _has_an_operation(self) -> Self:
        if not (self.swap or self.delete or self.synonyms):
            raise ValueError("augmentation needs swap, delete or synonyms")
        if self.synonyms is None and "replace" in self.model_fields_set:
            raise ValueError("replace: not read without synonyms")
        return self


class TaggingConfig(Config):
    """How sentences are tagged."""

    head: Literal["softmax", "crf"] = "softmax"
    """Tags scored each for itself, or as a chain by a conditional random field (Lafferty et al. 2001)."""
    pooling: Literal["first", "mean"] = "first"
    """The state of a token: that of its first piece, or the mean of all."""
    constrained: bool = True
    """Decode only sequences that are possible: an I- never opens an entity, nor goes on with one of another type."""
    stride: AtLeast0Int = 32
    """Pieces that a window of a long sentence repeats of the one before; at most half a window."""


class SpansConfig(Config):
    """How answers are found."""

    doc_stride: AtLeast0Int = 128
    """Tokens that a window of a context repeats of the one before; where a window has no more room, half its room."""
    max_query_length: Positive = 64
    """Tokens read of a question, which never gets more than half of `max_seq_length`; longer ones are cut, and counted."""
    max_answer_length: Positive = 30
    """Tokens of the longest answer."""
    n_best_size: Positive = 20
    """Answers that a prediction lists."""
    no_answer_threshold: float = 0.0
    """Log-odds against no answer up to which none is given, until the validation split has chosen better."""


# What speaks of the layers of a pretrained BERT, in the blocks where it stands.
_OF_BERT = {
    None: ("init", "reinit_layers", "matching_heads", "gradient_checkpointing"),
    "layers": ("learning_rate_decay", "freeze_layers", "unfreeze_steps"),
}

# What came later than the first results, with what these have.
_LATER = {"max_train_samples": None, "matching_heads": 0}


class FinetuneConfig(TrainingConfig):
    """How to fine-tune a BERT or train a baseline. `max_steps`, where given, stands instead of `num_train_epochs`."""

    model: ModelConfig = ModelConfig()
    """The network: by default a BERT, the one in the input `start`."""
    init: Literal["pretrained", "random"] = "pretrained"
    """Start from the weights of `start`, or from random ones of the same shape: what pretraining is measured against."""
    name: str | None = None
    """What reports call the model; by default, `BERT, pretrained`, `BERT, random weights`, or the backbone's name."""
    max_seq_length: Annotated[int, Field(ge=5)] = 128
    """Tokens read at once, special tokens counted in. Of a text to classify the rest is lost, and counted, of a pair
    that of the longer text first; sentences to tag and contexts of questions are read in windows."""
    max_train_samples: Annotated[int, Field(ge=2)] | None = None
    """Train on at most so many rows of the training split, chosen by a hash of their texts: a larger number holds the rows
    of a smaller one, and the other splits stay whole. A pipeline's `train_sizes` runs several for a learning curve; few rows
    make few steps an epoch, so `max_steps` and `eval_steps` compare them more fairly than `num_train_epochs`."""
    num_train_epochs: Above0 = 3.0
    """Passes over the training split."""
    learning_rate: Above0 = 5e-5
    """Peak of the learning rate."""
    dropout: Share | None = None
    """Dropout on layers, attention weights and before the head; by default the model's own, 0.5 in textcnn and rnn."""
    reinit_layers: Annotated[int, Field(ge=0)] | None = None
    """New weights for the pooler and so many top layers, which pretraining may have spoilt for the task; null keeps all."""
    matching_heads: AtLeast0Int = 0
    """So many heads of the first layer, its last ones, begin anew by attending from each word to the same word in the other
    text of a pair, or in the context of a question: what a BERT of your own pretraining has not found out in minutes or
    hours. 0 keeps all."""
    eval_steps: Positive | None = None
    """Steps between two measurements on the validation split, and checkpoints; by default, once an epoch."""
    early_stopping_patience: Positive | None = 3
    """Stop after this many measurements without a better one; null never stops."""
    early_stopping_threshold: AtLeast0 = 0.0
    """How much better a measurement must be to count as better."""
    metric_for_best_model: str = "primary"
    """What says which weights are kept: `loss`, `primary` for the task's own metric, or any metric of its scores."""
    tagging: TaggingConfig = TaggingConfig()
    """How sentences are tagged."""
    classification: ClassificationConfig = ClassificationConfig()
    """What only classification reads."""
    spans: SpansConfig = SpansConfig()
    """How answers are found."""
    loss: LossConfig = LossConfig()
    """What is minimised."""
    regularization: RegularizationConfig = RegularizationConfig()
    """Penalties and noise."""
    adversarial: AdversarialConfig | None = None
    """Adversarial training on word embeddings."""
    layers: LayersConfig = LayersConfig()
    """Learning rates and freezing by layer."""
    augmentation: AugmentationConfig | None = None
    """Changed training texts, for classification."""

    @model_validator(mode="after")
    def _layers_are_there(self) -> Self:
        if self.model.backbone == "bert":
            return self
        for block, names in _OF_BERT.items():
            given = self if block is None else getattr(self, block)
            if unread := sorted(set(names) & given.model_fields_set):
                what = ", ".join(name if block is None else f"{block}.{name}" for name in unread)
                raise ValueError(f"{what}: of a BERT's pretrained layers; {self.model.backbone} has none")
        return self

    def identity(self) -> dict[str, Any]:
        """Without samples and matching heads, the identity is the one it was before there were any."""
        own = super().identity()
        return {name: value for name, value in own.items() if name not in _LATER or value != _LATER[name]}

    @property
    def display_name(self) -> str:
        """What reports call the model."""
        if self.name:
            return self.name
        if self.model.backbone != "bert":
            return self.model.display_name + ("-CRF" if self.tagging.head == "crf" else "")
        return "BERT, pretrained" if self.init == "pretrained" else "BERT, random weights"

    def settings(self, kind: str) -> dict[str, Any]:
        """What a model of this kind of task keeps, to read new rows as it read those it learnt from."""
        block = getattr(self, kind, None)
        own = block.model_dump(mode="json") if block is not None else {}
        self.model.check_kind(kind)
        if (spelling := self.model.characters) is not None:
            own["max_word_bytes"] = spelling.max_bytes
        return {"max_seq_length": self.max_seq_length, **own}

    def tricks(self) -> dict[str, Any]:
        """The blocks that a training recipe is made of, as plain values."""
        return {
            "regularization": self.regularization.model_dump(mode="json"),
            "adversarial": None if self.adversarial is None else self.adversarial.model_dump(mode="json"),
            "layers": self.layers.model_dump(mode="json"),
        }

    def not_shardable(self) -> list[str]:
        """As above, with the recipes that change weights in place, or pass through the network by themselves."""
        penalties = ("l1", "l2_sp", "mixout", "weight_noise", "max_norm", "r_drop")
        found = [f"regularization.{name}" for name in penalties if getattr(self.regularization, name)]
        found += ["adversarial"] if self.adversarial is not None else []
        found += ["layers.unfreeze_steps"] if self.layers.unfreeze_steps is not None else []
        return super().not_shardable() + found

    def loss_options(self) -> dict[str, Any]:
        """The block `loss` as plain values, those that are set."""
        return self.loss.model_dump(mode="json", exclude_none=True)
