"""A search for good values of one pipeline entry's config, scored on the validation split."""

import json
import logging
import math
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bertkit import storage
from bertkit.artifacts import Artifact, Model
from bertkit.config import Config, build, merge, parse_overrides, read_yaml
from bertkit.errors import ConfigError, HostError, NumericError
from bertkit.pipeline.graph import Node, Plan, make_plan
from bertkit.pipeline.runner import run

log = logging.getLogger(__name__)


class Dimension(Config):
    """The values that one key may take: `choices`, or whole numbers or fractions from `low` to `high`."""

    choices: Annotated[list[Any], Field(min_length=1)] | None = None
    """The values, one as good as the other."""
    low: float | None = None
    """The least value."""
    high: float | None = None
    """The greatest value."""
    type: Literal["float", "int"] = "float"
    """Fractions, or whole numbers only."""
    log: bool = False
    """Whether a range is searched by its magnitude, as learning rates should be."""

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if (self.choices is None) == (self.low is None and self.high is None):
            raise ValueError("needs either choices, or low and high")
        if self.choices is not None:
            if self.model_fields_set - {"choices"}:
                raise ValueError("choices stand alone")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and self.low <= 0:
            raise ValueError("low must be above 0 where log is true")
        if self.type == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("low and high of type int must be whole numbers")
        return self


class SweepFile(Config):
    """A sweep: which entry of which pipeline, over what values."""

    pipeline: Path
    """The pipeline; a relative path starts from the sweep's own folder."""
    stage: str
    """Its entry to vary, of the stage finetune. With several seeds or folds, a trial's value is their mean."""
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    """Dotted config key to the values it may take."""
    n_trials: Annotated[int, Field(ge=1)] = 20
    """How many settings to try."""
    sampler: Literal["tpe", "random"] = "tpe"
    """`tpe` learns from the trials before (Bergstra et al. 2011), `random` does not."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The sampler's seed: the same sweep tries the same settings."""


def read_sweep(path: Path, overrides: list[str]) -> SweepFile:
    """Read and check a sweep's own file.

    Raises:
        ConfigError: every mistake in it, together.
    """
    sweep = build(SweepFile, merge(read_yaml(path), parse_overrides(overrides)), name="sweep")
    return sweep.model_copy(update={"pipeline": path.parent / sweep.pipeline})


def search(
    sweep: SweepFile, out: Path, *, root: Path, data_dir: Path | None = None, wait: bool = False
) -> dict[str, Any]:
    """Run the trials, each an ordinary run of the entry and what it reads, and write `sweep.json` and `sweep.md`.

    Trials that are done are not run again, so a sweep that was ended goes on where it was, and one with a larger
    `n_trials` goes on from a smaller. A trial whose numbers are not finite has failed, and the others go on.

    Raises:
        HostError: optuna is not installed.
        ConfigError: the entry does not train, or a key of the space is none of its config's.
        NumericError: no trial came to an end.
    """
    optuna = _optuna()
    plan = make_plan(sweep.pipeline, [], root=root, data_dir=data_dir)
    _check(sweep, plan, data_dir)
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    study = optuna.create_study(sampler=samplers[sweep.sampler](seed=sweep.seed))  # minimises
    trials: list[dict[str, Any]] = []
    storage.make_directory(out)
    for number in range(1, sweep.n_trials + 1):
        asked = study.ask()
        values = {key: _suggested(asked, key, dimension) for key, dimension in sweep.space.items()}
        log.info("trial %d of %d: %s", number, sweep.n_trials, " ".join(as_overrides(values)))
        plan = _plan(sweep, values, root, data_dir)
        same = next((earlier for earlier in trials if earlier["values"] == values), None)
        trial = (same or _try(plan, sweep.stage, wait=wait)) | {"number": number, "values": values}
        trials.append(trial)
        if trial["value"] is None:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(asked, -trial["value"] if trial["higher_is_better"] else trial["value"])
        result = _result(sweep, trials)
        storage.write_json(out / "sweep.json", result)
        storage.write_text(out / "sweep.md", as_markdown(result))
    if result["best"] is None:
        raise NumericError(
            "no trial of the sweep came to an end", where=str(out / "sweep.json"), remedy="Search smaller values."
        )
    best = _plan(sweep, result["best"]["values"], root, data_dir)
    run(best, list(_needed(best.select(sweep.stage))))  # all done: this links the best one as the latest
    return result


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Values as the `key=value` arguments of a recipe."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]


def as_markdown(result: Mapping[str, Any]) -> str:
    """The table of all trials, the best first, and the best values ready to be used."""
    keys = list(result["space"])
    lines = [
        f"# Sweep of {result['stage']}",
        "",
        f"{len(result['trials'])} of {result['n_trials']} trials; {result['metric']} on the validation split, "
        f"{'higher' if result['higher_is_better'] else 'lower'} is better. The test split was not looked at.",
        "",
        "| " + " | ".join(["trial", str(result["metric"]), *keys, "training, s", "result"]) + " |",
        "|" + "---|" * (len(keys) + 4),
    ]
    for trial in _ranked(result["trials"]):
        value = "failed" if trial["value"] is None else f"{trial['value']:.4f}"
        seconds = "" if trial["train_seconds"] is None else f"{trial['train_seconds']:.1f}"
        settings = [_cell(trial["values"][key]) for key in keys]
        lines.append(
            "| " + " | ".join([str(trial["number"]), value, *settings, seconds, ", ".join(trial["results"])]) + " |"
        )
    if result["best"] is not None:
        lines += ["", "The best values:", "", "```", *result["best"]["overrides"], "```"]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return text.replace("|", "\\|")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise HostError("a sweep needs optuna, which is not installed", remedy="pip install 'bertkit[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _check(sweep: SweepFile, plan: Plan, data_dir: Path | None) -> None:
    """Refuse an entry that trains nothing, and keys or values that its config does not have, before anything runs."""
    nodes = plan.select(sweep.stage)
    if not issubclass(nodes[0].stage.output, Model):
        raise ConfigError(
            f"a sweep varies an entry that makes a Model; {sweep.stage} is of stage {nodes[0].stage.name}"
        )
    if nodes[0].variant.rows is not None:
        remedy = "Take train_sizes out, and set max_train_samples if it should learn from a part."
        raise ConfigError(
            f"a sweep tries one number of training rows, and {sweep.stage} has train_sizes", remedy=remedy
        )
    if "seed" in sweep.space:
        raise ConfigError("the space has seed", remedy="A seed is no setting; give the pipeline's entry several seeds.")
    for key, dimension in sweep.space.items():
        ends = dimension.choices if dimension.choices is not None else _ends(dimension)
        for value in ends:
            make_plan(
                sweep.pipeline,
                [f"{sweep.stage}.{one}" for one in as_overrides({key: value})],
                root=plan.root,
                data_dir=data_dir,
            )


def _ends(dimension: Dimension) -> list[int | float]:
    assert dimension.low is not None
    assert dimension.high is not None
    return [int(dimension.low), int(dimension.high)] if dimension.type == "int" else [dimension.low, dimension.high]


def _suggested(asked: Any, key: str, dimension: Dimension) -> Any:
    if dimension.choices is not None:
        # By number: a choice may be a whole block of the config.
        return dimension.choices[asked.suggest_categorical(key, list(range(len(dimension.choices))))]
    low, high = _ends(dimension)
    if dimension.type == "int":
        return asked.suggest_int(key, low, high, log=dimension.log)
    # Four digits say all there is to say, and can be written down.
    return min(max(float(f"{asked.suggest_float(key, low, high, log=dimension.log):.4g}"), low), high)


def _plan(sweep: SweepFile, values: Mapping[str, Any], root: Path, data_dir: Path | None) -> Plan:
    overrides = [f"{sweep.stage}.{one}" for one in as_overrides(values)]
    return make_plan(sweep.pipeline, overrides, root=root, data_dir=data_dir)


def _try(plan: Plan, stage: str, *, wait: bool) -> dict[str, Any]:
    """Run the entry and what it reads; its validation figure, averaged over seeds and folds."""
    nodes = plan.select(stage)
    results = [str(node.out) for node in nodes]
    try:
        run(plan, list(_needed(nodes)), wait=wait)
    except NumericError as e:
        log.warning("the trial failed: %s", e)
        return {**_FAILED, "error": e.what, "results": results}
    found = [Artifact(node.out).read_json("predictor.json") for node in nodes]
    value = statistics.fmean(one["best_metric"] for one in found)
    if not math.isfinite(value):
        return {**_FAILED, "error": f"{found[0]['metric_for_best_model']} is {value}", "results": results}
    return {
        "value": value,
        "metric": found[0]["metric_for_best_model"],
        "higher_is_better": _higher_is_better(found[0]),
        "train_seconds": sum(one["train_seconds"] for one in found),
        "error": None,
        "results": results,
    }


_FAILED: dict[str, Any] = {"value": None, "metric": None, "higher_is_better": None, "train_seconds": None}


def _higher_is_better(predictor: Mapping[str, Any]) -> bool:
    from bertkit.training.best import higher_is_better

    metric = predictor["metric_for_best_model"]
    return higher_is_better(predictor["primary"] if metric == "primary" else metric)


def _needed(nodes: list[Node]) -> Iterator[Node]:
    """Nodes and all that they read, each once and after what it reads."""
    seen: set[str] = set()

    def visit(node: Node) -> Iterator[Node]:
        if node.name in seen:
            return
        seen.add(node.name)
        for given in node.inputs.values():
            for one in given:
                if isinstance(one, Node):
                    yield from visit(one)
        yield node

    for node in nodes:
        yield from visit(node)


def _ranked(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best first; ties by number, failures last."""

    def rank(trial: dict[str, Any]) -> tuple[bool, float, int]:
        value = trial["value"]
        signed = 0.0 if value is None else (-value if trial["higher_is_better"] else value)
        return value is None, signed, trial["number"]

    return sorted(trials, key=rank)


def _result(sweep: SweepFile, trials: list[dict[str, Any]]) -> dict[str, Any]:
    best = _ranked(trials)[0]
    return {
        "stage": sweep.stage,
        "pipeline": sweep.pipeline.name,
        "metric": best["metric"] or "best_metric",
        "higher_is_better": best["higher_is_better"],
        "n_trials": sweep.n_trials,
        "sampler": sweep.sampler,
        "seed": sweep.seed,
        "space": {key: dimension.model_dump(exclude_unset=True) for key, dimension in sweep.space.items()},
        "best": None if best["value"] is None else {**best, "overrides": as_overrides(best["values"])},
        "trials": trials,
    }
