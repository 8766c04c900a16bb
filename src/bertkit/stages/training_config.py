"""Options of every training stage: what to learn by, what to keep, and what only says where and how fast."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bertkit.config import Config, runtime

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
AtLeast0Int = Annotated[int, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0)]
AtLeast0 = Annotated[float, Field(ge=0)]


# What only some optimizers or schedules read: set beside another one, such an option would silently do nothing.
_ADAM = ("adam_beta1", "adam_beta2", "adam_epsilon")
_OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "optim": {
        "sgd": ("momentum", "nesterov"),
        "adadelta": ("rho",),
        "rmsprop": ("alpha", "momentum"),
        **dict.fromkeys(("adam", "adamw", "lamb"), _ADAM),
        "muon": (*_ADAM, "momentum"),
    },
    "lr_scheduler_type": {"polynomial": ("power", "lr_end"), "warmup_stable_decay": ("decay_steps", "decay_type")},
}


class TrainingConfig(Config):
    """Options of every training stage, in Hugging Face's words."""

    train_batch_size: Positive = 32
    """Sequences in an optimizer step, over all processes."""
    max_steps: Positive | None = None
    """Optimizer steps."""
    learning_rate: Above0 = 1e-4
    """Peak of the learning rate."""
    lr_scheduler_type: Literal["linear", "cosine", "constant", "polynomial", "warmup_stable_decay"] = "linear"
    """How the learning rate falls after warm-up."""
    warmup_steps: AtLeast0 = 0.1
    """Steps of warm-up; below 1, a share of all steps."""
    decay_steps: AtLeast0 = 0.1
    """Steps of `warmup_stable_decay`'s fall to 0 at the end; below 1, a share of all steps."""
    decay_type: Literal["linear", "cosine", "1-sqrt"] = "linear"
    """Form of `warmup_stable_decay`'s fall."""
    power: Above0 = 1.0
    """Exponent of `polynomial`."""
    lr_end: AtLeast0 = 0.0
    """Where `polynomial` ends."""
    optim: Literal["sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "lamb", "muon"] = "adamw"
    """The optimizer; `training/optimizers.py` has a table of what each reads."""
    weight_decay: AtLeast0 = 0.01
    """Decay of matrices; biases and LayerNorm are left alone. Decoupled in adamw, lamb and muon, else L2."""
    adam_beta1: Below1 = 0.9
    """First moment of adam, adamw, lamb, and muon's AdamW."""
    adam_beta2: Below1 = 0.999
    """Second moment of adam, adamw, lamb, and muon's AdamW."""
    adam_epsilon: Above0 = 1e-6
    """Epsilon of adam, adamw, lamb, and muon's AdamW."""
    momentum: Below1 | None = None
    """Momentum of sgd (by default 0.9), muon (0.95) and rmsprop (0)."""
    nesterov: bool = False
    """Nesterov's momentum, in sgd; muon always has it."""
    rho: Below1 = 0.9
    """How much adadelta keeps of its averages."""
    alpha: Below1 = 0.99
    """How much rmsprop keeps of its average."""
    max_grad_norm: Above0 = 1.0
    """Gradients are scaled down to this norm."""
    ema_decay: Below1 | None = None
    """Measure and keep an exponential moving average of the weights, with this much of the old at each step."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """At a NaN or infinity in loss or gradient: stop before the update, or leave the update out and go on."""
    max_skipped_steps: AtLeast0Int = runtime(10)
    """Updates that may be left out in a run before it stops all the same."""
    seed: int = 42
    """Of new weights, order, dropout and every other draw."""

    logging_steps: Positive = runtime(10)
    """Steps between two rows of the log."""
    log_layer_norms: bool = runtime(False)
    """Whether rows of the log say how large the gradient was in each layer, before clipping."""
    save_total_limit: Positive = runtime(2)
    """Checkpoints kept while training; those that are damaged do not count."""
    micro_batch_size: Positive | None = runtime(None)
    """Sequences computed at once by a process; less memory, the same loss. Dropout is drawn for each micro-batch."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    """Where to compute."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = runtime("auto")
    """`auto` is bf16 on GPUs that have it, else fp32; bf16 on CPUs with AVX512_BF16 or AMX; fp16 on GPUs."""
    gradient_checkpointing: bool = runtime(False)
    """Compute activations again in the backward pass instead of keeping them: less memory, a third more time."""
    torch_compile: bool = runtime(False)
    """Have torch.compile generate the model's code: minutes to begin with on a CPU, then faster; draws other dropout."""
    peak_flops: Above0 | None = runtime(None)
    """Operations a second that `mfu` is a share of; by default, measured on matrix products as the run begins."""
    num_workers: AtLeast0Int = runtime(0)
    """Processes beside each training process that make its batches ahead of time."""
    num_threads: Positive | None = runtime(None)
    """CPU threads of a process; by default its share of the cores."""
    report_to: list[str] = runtime([])
    """Trackers: wandb, tensorboard, ..."""
    run_name: str = runtime("bertkit")
    """The run's name in trackers."""

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        for field, readers in _OPTIONS.items():
            name = getattr(self, field)
            known = {option for options in readers.values() for option in options}
            if unread := sorted(known & self.model_fields_set - set(readers.get(name, ()))):
                raise ValueError(f"{', '.join(unread)}: not read by {field} {name}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def not_shardable(self) -> list[str]:
        """The options set here that need the whole of a weight in every process, which FSDP does not give."""
        optimizer = [f"optim={self.optim}"] if self.optim in ("lamb", "muon") else []
        return optimizer + (["torch_compile"] if self.torch_compile else [])
