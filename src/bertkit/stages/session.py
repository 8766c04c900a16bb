"""What the training stages share: a run that logs, measures, saves and resumes."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertkit import storage
from bertkit.artifacts import TRACKERS
from bertkit.config import fingerprint
from bertkit.errors import ConfigError, NumericError, TerminatedError
from bertkit.stages.training_config import TrainingConfig

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from bertkit.data.batching import Arrays, GlobalBatch
    from bertkit.data.encoded import EncodedRows
    from bertkit.training.loop import Recipe, StepResult
    from bertkit.training.prediction import Outputs


class Session:
    """One training run in `out`: goes on from the newest checkpoint there, or begins.

    `objective` holds the network as `.model` and returns sums; `summarise` turns sums into named figures; `inputs` are
    the fingerprints of what is learnt from, which a checkpoint must share. `make_recipe`, where given, gets the network
    with the weights it starts from. `more`, where set, gives what else belongs in a checkpoint: groups of tensors, and
    JSON.
    """

    more: "Callable[[], tuple[dict[str, dict[str, Tensor]], dict[str, Any]]] | None" = None

    def __init__(
        self,
        config: TrainingConfig,
        make_objective: "Callable[[], nn.Module]",
        *,
        out: Path,
        name: str,
        inputs: dict[str, str],
        max_steps: int,
        summarise: Callable[[dict[str, float]], dict[str, float]],
        make_recipe: "Callable[[nn.Module], Recipe] | None" = None,
    ) -> None:
        from bertkit.data.batching import START, Position
        from bertkit.models import bert
        from bertkit.training import checkpoints, processes, sharding
        from bertkit.training.ema import WeightAverage
        from bertkit.training.journal import Journal
        from bertkit.training.loop import Recipe
        from bertkit.training.memory import reuse_freed_memory
        from bertkit.training.nonfinite import NonFiniteSteps
        from bertkit.training.scaling import LossScaler
        from bertkit.training.stopping import StopSignal
        from bertkit.training.trackers import open_trackers

        self._config, self._out, self._summarise, self.max_steps = config, out, summarise, max_steps
        runs = out / TRACKERS
        if config.report_to:
            storage.make_directory(runs)
        accelerator = processes.make_accelerator(
            config.device, config.mixed_precision, trackers=config.report_to, out=runs
        )
        self.accelerator = accelerator
        self.threads = processes.pin_threads(config.num_threads, accelerator.num_processes)
        reuse_freed_memory()
        self.micro_batch = _micro_batch_rows(config, accelerator.num_processes)
        self._sharded = processes.wants_sharding() and accelerator.num_processes > 1
        if self._sharded:
            _check_shardable(config)
        self._make_objective = make_objective
        objective: Any = make_objective()
        self.model = objective.model
        if config.gradient_checkpointing:
            bert.recompute_activations(self.model)
        if config.torch_compile:
            processes.compile_in_place(objective)
        # Before any checkpoint is read, and before the data-parallel wrapper asks which parameters learn.
        self._recipe = make_recipe(self.model.to(accelerator.device)) if make_recipe is not None else Recipe()
        self._objective: Any
        if self._sharded:
            self._objective = sharding.shard(objective, accelerator.device, accelerator.num_processes)
        else:
            self._objective = accelerator.prepare(objective)
        self._optimizer = _optimizer(config, self._objective, self._recipe)
        self._identity = {
            "config": fingerprint(config.identity()),
            "seed": config.seed,
            "train_batch_size": config.train_batch_size,
            **inputs,
        }
        self._average = WeightAverage(self.model, self._optimizer, config.ema_decay) if config.ema_decay else None
        self._scaler = LossScaler() if accelerator.mixed_precision == "fp16" else None
        self.step, self.epoch, self._position = 0, 0.0, START
        with accelerator.main_process_first():
            self.saved = checkpoints.load_newest(out, self._identity, tidy=self.is_main)
        state = self.saved.state if self.saved is not None else {}
        if self.saved is not None:
            checkpoints.load_parameters(self.model, self.saved.groups["model"])
            checkpoints.load_optimizer_tensors(self._optimizer, self.model, self.saved.groups["optimizer"])
            self.step, self.epoch, self._position = self.saved.step, state["epoch"], Position(*state["position"])
            if self._average is not None:
                self._average.restore(self.saved.groups["average"], state["averaged_updates"])
            if self._scaler is not None and "loss_scale" in state:
                self._scaler.restore(state["loss_scale"])
        self._nonfinite = NonFiniteSteps(
            out,
            config.on_nonfinite,
            limit=config.max_skipped_steps,
            skipped=state.get("skipped_steps", []),
            process_index=accelerator.process_index,
        )
        self._stop = StopSignal()
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
            pending=state.get("pending"),
            peak_flops=self._peak_flops(),
        )

    @property
    def is_main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    @property
    def place(self) -> dict[str, int]:
        """This process among the others, as batches ask for it."""
        return {"rank": self.accelerator.process_index, "world_size": self.accelerator.num_processes}

    def _peak_flops(self) -> float:
        from bertkit.training.ceiling import peak_flops

        return self._config.peak_flops or peak_flops(self.accelerator.device, str(self.accelerator.mixed_precision))

    @property
    def weights(self) -> "dict[str, Tensor]":
        """The weights to measure and keep, by name: the averaged ones where there are any. Every process must ask."""
        from bertkit.training import checkpoints, sharding

        own = checkpoints.parameters(self.model) if self._average is None else self._average.weights
        return sharding.gathered(own) if self._sharded else own

    def steps(self, batches: "Callable[..., Iterator[GlobalBatch]]") -> "Iterator[StepResult]":
        """Optimizer steps up to the last one, each logged. `batches` takes `start`, `rank` and `world_size`.

        Raises:
            TerminatedError: SIGTERM came; the step was finished and is saved.
        """
        from bertkit.data.loading import prefetched
        from bertkit.models.flops import flops_of
        from bertkit.training.gradients import layer_norms
        from bertkit.training.loop import train_steps

        config, rate = self._config, _learning_rate(self._config, self.max_steps)
        if self.step >= self.max_steps:
            return
        ahead = prefetched(partial(batches, start=self._position, **self.place), num_workers=config.num_workers)
        with self._stop, closing(ahead):
            for result in train_steps(
                self._objective,
                ahead,
                self._optimizer,
                self.accelerator,
                learning_rate=rate,
                max_grad_norm=config.max_grad_norm,
                seed=config.seed,
                on_nonfinite=self._nonfinite,
                stop=lambda: self._stop.received,
                scaler=self._scaler,
                flops=flops_of(self.model),
                recipe=self._recipe,
                **({"measure_gradients": layer_norms} if config.log_layer_norms else {}),
            ):
                self.step, self.epoch = result.step, result.epoch
                self._position = result.position.following
                self.journal.step(result)
                yield result
                if result.stop:
                    self._save_and_end()
                if self.step == self.max_steps:
                    return

    def _save_and_end(self) -> None:
        self.save()
        self.accelerator.wait_for_everyone()  # a process that ended early would have the others killed
        raise TerminatedError(
            f"ended by SIGTERM after step {self.step}, which is saved",
            where=str(self._out),
            remedy="Run the same command again to go on.",
        )

    @contextmanager
    def _measurable(self) -> Iterator[None]:
        from bertkit.training import sharding

        with ExitStack() as state:
            if self._average is not None:
                state.enter_context(self._average.in_model())
            if self._sharded:
                state.enter_context(sharding.held_whole(self._objective))
            yield

    def measure(self, micro_batches: "Iterable[Arrays]") -> dict[str, float]:
        """Held-out figures at this step, written to the log."""
        from bertkit.training.loop import evaluate
        from bertkit.training.memory import release_freed_memory

        with self._measurable():
            sums = evaluate(self._objective, micro_batches, self.accelerator)
        self._check_finite(sums)
        figures = self._summarise(sums)
        self.journal.evaluation(self.step, self.epoch, figures)
        self.journal.peak_flops = self._peak_flops()
        release_freed_memory()
        return figures

    def measure_predictions(
        self, rows: "EncodedRows", score: "Callable[[list[Outputs]], dict[str, float]]"
    ) -> dict[str, float]:
        """As `measure`, and what `score` finds in the outputs of all rows."""
        from bertkit.training.memory import release_freed_memory
        from bertkit.training.prediction import measure_and_predict

        with self._measurable():
            if self._sharded:
                self._objective.unshard()  # outputs are asked for without the objective's own forward
            sums, outputs = measure_and_predict(self._objective, rows, self.accelerator, batch_size=self.micro_batch)
        self._check_finite(sums)
        figures = {**self._summarise(sums), **score(outputs)}
        self.journal.evaluation(self.step, self.epoch, figures)
        self.journal.peak_flops = self._peak_flops()
        release_freed_memory()
        return figures

    def _check_finite(self, sums: dict[str, float]) -> None:
        """Refuse held-out sums that no figure can be made of: neither log nor checkpoint can hold them.

        Raises:
            NumericError: one is NaN or infinite, in every process.
        """
        if found := [f"{name} is {value}" for name, value in sums.items() if not math.isfinite(value)]:
            raise NumericError(
                f"step {self.step}: measured on held-out rows, {', '.join(found)}",
                where=str(self._out),
                remedy="Lower learning_rate or raise warmup_steps; the last checkpoint is kept.",
            )

    def save(self) -> None:
        """Write a checkpoint of this step."""
        from bertkit.training import checkpoints, sharding

        if self.is_main or self._sharded:
            own = {
                "model": checkpoints.parameters(self.model),
                "optimizer": checkpoints.optimizer_tensors(self._optimizer, self.model),
            }
            if self._average is not None:
                own["average"] = self._average.weights
        if self._sharded:
            own = {name: sharding.gathered(tensors, keep=self.is_main) for name, tensors in own.items()}
        if self.is_main:
            content = {
                "position": list(astuple(self._position)),
                "epoch": self.epoch,
                "pending": self.journal.pending,
                "skipped_steps": self._nonfinite.skipped,
            }
            if self._average is not None:
                content["averaged_updates"] = self._average.updates
            if self._scaler is not None:
                content["loss_scale"] = self._scaler.state
            groups, state = self.more() if self.more else ({}, {})
            keep = self._config.save_total_limit
            self.journal.sync()
            checkpoints.save(self._out, self.step, own | groups, content | state, keep=keep, identity=self._identity)

    def finish(self, tokenizer: Path, facts: dict[str, Any], *, weights: "dict[str, Tensor] | None" = None) -> None:
        """Write the model's folder with `weights`, by default `self.weights`, and `trainer_state.json`.

        The checkpoints are put by.
        """
        from bertkit.models import bert
        from bertkit.text.wordpiece import copy_tokenizer
        from bertkit.training import checkpoints, processes

        if self._stop.received:  # too late for another step
            raise TerminatedError(
                "ended by SIGTERM", where=str(self._out), remedy="Run the same command again to go on."
            )
        self.journal.close(facts)
        weights = weights or self.weights
        if not self.is_main:
            return
        # A sharded model cannot be written by one process; one made anew can.
        made: Any = self._make_objective() if self._sharded else None
        model = self.model if made is None else made.model
        checkpoints.load_parameters(model, weights)
        bert.save(model, self._out)
        if tokenizer != self._out:
            copy_tokenizer(tokenizer, self._out)
        state = {
            "global_step": self.step,
            "max_steps": self.max_steps,
            "epoch": round(self.epoch, 4),
            "train_batch_size": self._config.train_batch_size,
            "num_parameters": bert.count_parameters(self.model),
            "train_seconds": round(self.journal.train_seconds, 3),
            "num_processes": self.accelerator.num_processes,
            "num_threads": self.threads,
            "cpu_instructions": processes.instructions(),
            "device": str(self.accelerator.device),
            "mixed_precision": str(self.accelerator.mixed_precision),
            "peak_flops": self.journal.peak_flops,
            **({"loss_scale": self._scaler.state} if self._scaler is not None else {}),
            "skipped_steps": self._nonfinite.skipped,
            **facts,
            "log_history": self.journal.rows,
        }
        storage.write_json(self._out / "trainer_state.json", state)
        checkpoints.put_by(self._out)


def _check_shardable(config: TrainingConfig) -> None:
    if found := config.not_shardable():
        raise ConfigError(
            f"{', '.join(found)}: not possible with weights divided among processes (FSDP)",
            remedy="Leave it out, or launch with recipes/accelerate/one_node_gpus.yaml.",
        )


def _optimizer(config: TrainingConfig, objective: "nn.Module", recipe: "Recipe") -> "Optimizer":
    from bertkit.training.optimizers import make_optimizer

    optimizer = make_optimizer(
        objective,
        config.optim,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        momentum=config.momentum,
        nesterov=config.nesterov,
        rho=config.rho,
        alpha=config.alpha,
        lr_factor=recipe.lr_factor,
    )
    if (after_update := recipe.after_update) is not None:
        # Registered first, so that averages follow the weights as they then are.
        optimizer.register_step_post_hook(lambda *_: after_update())
    return optimizer


def _learning_rate(config: TrainingConfig, max_steps: int) -> Callable[[int], float]:
    """The learning rate of each step."""
    from bertkit.training.schedules import learning_rate_at, step_count

    warmup, decay = (step_count(steps, max_steps) for steps in (config.warmup_steps, config.decay_steps))
    if config.lr_scheduler_type == "warmup_stable_decay" and warmup + decay > max_steps:
        raise ConfigError(
            f"{warmup} steps of warm-up and {decay} of decay are more than the {max_steps} of the run",
            remedy="Lower warmup_steps or decay_steps.",
        )
    return partial(
        learning_rate_at,
        peak=config.learning_rate,
        max_steps=max_steps,
        warmup_steps=warmup,
        kind=config.lr_scheduler_type,
        power=config.power,
        lr_end=config.lr_end,
        decay_steps=decay,
        decay_type=config.decay_type,
    )


def _micro_batch_rows(config: TrainingConfig, world_size: int) -> int:
    from bertkit.data.batching import micro_batch_rows

    try:
        return micro_batch_rows(config.train_batch_size, config.micro_batch_size, world_size)
    except ValueError as e:
        raise ConfigError(str(e), remedy="Choose a train_batch_size that the number of processes divides.") from None
