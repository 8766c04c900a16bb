"""What the training stages share: their options, and a run that logs, measures, saves and resumes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from bertkit import storage
from bertkit.artifacts import TRACKERS
from bertkit.config import Config, runtime
from bertkit.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bertkit.data.batching import Arrays, GlobalBatch
    from bertkit.training.loop import StepResult

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Above0 = Annotated[float, Field(gt=0)]
AtLeast0 = Annotated[float, Field(ge=0)]

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")


class TrainingConfig(Config):
    """Options of every training stage, in Hugging Face's words."""

    train_batch_size: Positive = 32
    """Sequences in an optimizer step, over all processes."""
    max_steps: Positive | None = None
    """Optimizer steps."""
    learning_rate: Above0 = 1e-4
    """Peak of the learning rate."""
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after warm-up."""
    warmup_steps: AtLeast0 = 0.1
    """Steps of warm-up; below 1, a share of all steps."""
    weight_decay: AtLeast0 = 0.01
    """Decay of matrices; biases and LayerNorm are left alone."""
    adam_beta1: Share = 0.9
    """AdamW's first moment."""
    adam_beta2: Share = 0.999
    """AdamW's second moment."""
    adam_epsilon: Above0 = 1e-6
    """AdamW's epsilon."""
    max_grad_norm: Above0 = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 42
    """Of new weights, order, dropout and every other draw."""

    logging_steps: Positive = runtime(10)
    """Steps between two rows of the log."""
    save_total_limit: Positive = runtime(2)
    """Checkpoints kept while training."""
    micro_batch_size: Positive | None = runtime(None)
    """Sequences computed at once by a process; less memory, the same loss. Dropout is drawn for each micro-batch."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    """Where to compute."""
    mixed_precision: Literal["auto", "no", "bf16"] = runtime("auto")
    """`auto` is bf16 on GPUs that have it, else fp32."""
    num_threads: Positive | None = runtime(None)
    """CPU threads of a process; by default its share of the cores."""
    report_to: list[str] = runtime([])
    """Trackers: wandb, tensorboard, ..."""
    run_name: str = runtime("bertkit")
    """The run's name in trackers."""


class Session:
    """One training run in `out`: goes on from the newest checkpoint there, or begins.

    `objective` holds the network as `.model` and returns sums; `summarise` turns sums into named figures.
    """

    def __init__(
        self,
        config: TrainingConfig,
        make_objective: "Callable[[], nn.Module]",
        *,
        out: Path,
        name: str,
        max_steps: int,
        summarise: Callable[[dict[str, float]], dict[str, float]],
    ) -> None:
        from bertkit.training import checkpoints, optimizers, processes
        from bertkit.training.journal import Journal, open_trackers

        self._config, self._out, self._summarise, self.max_steps = config, out, summarise, max_steps
        runs = out / TRACKERS
        if config.report_to:
            storage.make_directory(runs)
        accelerator = processes.make_accelerator(
            config.device, config.mixed_precision, trackers=config.report_to, out=runs
        )
        self.accelerator = accelerator
        self.threads = processes.pin_threads(config.num_threads, accelerator.num_processes)
        self.micro_batch = _micro_batch_rows(config, accelerator.num_processes)
        objective: Any = make_objective()
        self.model = objective.model
        self._objective = accelerator.prepare(objective)
        self._optimizer = optimizers.adamw(
            self._objective,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(config.adam_beta1, config.adam_beta2),
            eps=config.adam_epsilon,
        )
        self.step, self.epoch, self._position = 0, 0.0, (0, 0)
        self.saved = checkpoints.load_newest(out)
        if self.saved is not None:
            checkpoints.load_parameters(self.model, self.saved.groups["model"])
            checkpoints.load_optimizer_tensors(self._optimizer, self._objective, self.saved.groups["optimizer"])
            epoch, number = self.saved.state["position"]
            self.step, self._position = self.saved.step, (epoch, number)
        accelerator.wait_for_everyone()
        options = config.model_dump(mode="json")
        open_trackers(accelerator, config.report_to, project="bertkit", run=config.run_name, config=options, out=runs)
        self.journal = Journal(
            out,
            accelerator,
            name=name,
            max_steps=max_steps,
            logging_steps=config.logging_steps,
            summarise=summarise,
            done_steps=self.step,
        )

    @property
    def is_main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    @property
    def place(self) -> dict[str, int]:
        """This process among the others, as batches ask for it."""
        return {"rank": self.accelerator.process_index, "world_size": self.accelerator.num_processes}

    def steps(self, batches: "Callable[..., Iterator[GlobalBatch]]") -> "Iterator[StepResult]":
        """Optimizer steps up to the last one, each logged. `batches` takes `start`, `rank` and `world_size`."""
        from bertkit.training.loop import train_steps
        from bertkit.training.optimizers import learning_rate_at, warmup_count

        config = self._config
        rate = partial(
            learning_rate_at,
            peak=config.learning_rate,
            max_steps=self.max_steps,
            warmup_steps=warmup_count(config.warmup_steps, self.max_steps),
            kind=config.lr_scheduler_type,
        )
        if self.step >= self.max_steps:
            return
        for result in train_steps(
            self._objective,
            batches(start=self._position, **self.place),
            self._optimizer,
            self.accelerator,
            learning_rate=rate,
            max_grad_norm=config.max_grad_norm,
            seed=config.seed,
            first_step=self.step + 1,
        ):
            self.step, self.epoch = result.step, result.epoch
            self._position = (result.position[0], result.position[1] + 1)
            self.journal.step(result)
            yield result
            if self.step == self.max_steps:
                return

    def measure(self, micro_batches: "Iterable[Arrays]") -> dict[str, float]:
        """Held-out figures at this step, written to the log."""
        from bertkit.training.loop import evaluate

        figures = self._summarise(evaluate(self._objective, micro_batches, self.accelerator))
        self.journal.evaluation(self.step, self.epoch, figures)
        return figures

    def save(self, groups: "dict[str, dict[str, Tensor]] | None" = None, state: dict[str, Any] | None = None) -> None:
        """Write a checkpoint of this step, with more tensors and state where the caller has them."""
        from bertkit.training import checkpoints

        if self.is_main:
            own = {
                "model": checkpoints.parameters(self.model),
                "optimizer": checkpoints.optimizer_tensors(self._optimizer, self._objective),
            }
            content = {"position": list(self._position), **(state or {})}
            checkpoints.save(self._out, self.step, own | (groups or {}), content, keep=self._config.save_total_limit)

    def finish(self, tokenizer: Path, facts: dict[str, Any]) -> None:
        """Write the Hugging Face folder and `trainer_state.json`, and delete the checkpoints."""
        from bertkit.models import bert
        from bertkit.training import checkpoints

        self.journal.close()
        if not self.is_main:
            return
        bert.save(self.model, self._out)
        storage.copy_files(tokenizer, self._out, TOKENIZER_FILES)
        state = {
            "global_step": self.step,
            "max_steps": self.max_steps,
            "epoch": round(self.epoch, 4),
            "train_batch_size": self._config.train_batch_size,
            "num_parameters": bert.count_parameters(self.model),
            "train_seconds": round(self.journal.train_seconds, 3),
            "num_processes": self.accelerator.num_processes,
            "num_threads": self.threads,
            "device": str(self.accelerator.device),
            "mixed_precision": str(self.accelerator.mixed_precision),
            **facts,
            "log_history": self.journal.rows,
        }
        storage.write_json(self._out / "trainer_state.json", state)
        checkpoints.remove_all(self._out)


def _micro_batch_rows(config: TrainingConfig, world_size: int) -> int:
    from bertkit.data.batching import micro_batch_rows

    try:
        return micro_batch_rows(config.train_batch_size, config.micro_batch_size, world_size)
    except ValueError as e:
        raise ConfigError(str(e), remedy="Choose a train_batch_size that the number of processes divides.") from None
