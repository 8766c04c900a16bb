"""Scored runs to one line a model: runs that differ in their seed alone belong together."""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bertkit.artifacts import Metrics, Model
from bertkit.errors import DataError
from bertkit.evaluation.paired import interval_over_seeds
from bertkit.evaluation.repeats import summarise_values
from bertkit.reporting import entity_types

# Of a run's settings, those that name it or that runs of one model may differ in.
_NOT_SETTINGS = ("seed", "name")
# The setting that runs of one learning curve differ in.
_SAMPLED = "max_train_samples"


@dataclass(frozen=True)
class Run:
    """One scored model: `metrics.json`, its predictions, and how the model was made, where that is known."""

    fingerprint: str
    scores: dict[str, Any]
    predictions: list[dict[str, Any]]
    settings: dict[str, Any] | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    train_rows: int | None = None

    @property
    def seed(self) -> int | None:
        seed: int | None = self.scores.get("seed")
        return seed


@dataclass(frozen=True)
class System:
    """The runs of one model on one split, by seed; `smaller` are those on fewer training rows, the fewest first."""

    name: str
    runs: list[Run]
    smaller: "list[System]" = field(default_factory=list)

    def mean(self, metric: str) -> float | None:
        """The mean over seeds; None where a run has no value."""
        values = [run.scores["metrics"].get(metric) for run in self.runs]
        return None if any(value is None for value in values) else statistics.fmean(values)


@dataclass(frozen=True)
class Scoreboard:
    """The systems that were scored on one split of one task, the best first."""

    task: str
    kind: str
    split: str
    data: str | None
    n: int
    primary: str
    labels: list[str]
    systems: list[System]


def read_run(metrics: Metrics, models: Mapping[str, Model]) -> Run:
    """The run in `metrics`; `models` by fingerprint say how its model was made."""
    manifest = metrics.manifest
    made_from = manifest.get("identity", {}).get("inputs", {}).get("model")
    model = models.get(made_from) if isinstance(made_from, str) else None
    identity = model.manifest.get("identity", {}) if model else {}
    return Run(
        fingerprint=metrics.fingerprint,
        scores=metrics.read_json("metrics.json"),
        predictions=metrics.predictions(),
        settings={k: v for k, v in identity.get("config", {}).items() if k not in _NOT_SETTINGS} if model else None,
        inputs=dict(identity.get("inputs", {})),
        train_rows=model.read_json("predictor.json").get("examples") if model else None,
    )


def scoreboards(runs: Sequence[Run]) -> list[Scoreboard]:
    """Group `runs` by task, split and data, then by model, in the order they were given.

    Raises:
        DataError: two runs of what looks like one model have the same seed.
    """
    groups: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in _merge_folds(list({run.fingerprint: run for run in runs}.values())):
        groups[tuple(run.scores.get(key) for key in ("task", "split", "data"))].append(run)
    return [_scoreboard(group) for group in groups.values()]


def _merge_folds(runs: Sequence[Run]) -> list[Run]:
    """The folds of a cross-validation as one run, in which each figure is its mean over folds.

    Raises:
        DataError: a fold stands there twice.
    """
    whole: list[Run] = []
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        if (fold := run.scores.get("fold")) is None:
            whole.append(run)
            continue
        settings = json.dumps(run.settings, sort_keys=True)
        names = (run.scores.get(key) for key in ("task", "split", "model", "seed"))
        group = groups.setdefault((*names, settings, fold.partition("/")[2]), [])
        if not group:
            whole.append(run)  # holds the place of the whole
        group.append(run)
    merged = {group[0].fingerprint: _merged(group) for group in groups.values()}
    return [merged.get(run.fingerprint, run) for run in whole]


def _merged(folds: Sequence[Run]) -> Run:
    first, scores = folds[0], [run.scores for run in folds]
    numbers = [one["fold"] for one in scores]
    if len(set(numbers)) < len(numbers):
        raise DataError(
            f"two runs are called {first.scores['model']!r} and have the same fold and seed",
            where=", ".join(run.fingerprint for run in folds),
            remedy="Give each model a name of its own (finetune's `name`), and the report its `models`.",
        )
    count = first.scores["fold"].partition("/")[2]
    found = {name: summarise_values([one["metrics"].get(name) for one in scores]) for name in first.scores["metrics"]}
    matrices = [one["confusion_matrix"] for one in scores if one.get("confusion_matrix")]
    note = f"Cross-validation: means over {len(folds)} of {count} folds, and Student's interval over folds."
    together = {
        "n": sum(one["n"] for one in scores),
        "metrics": {name: values["mean"] for name, values in found.items()},
        "intervals": {name: values["interval"] for name, values in found.items()},
        "undefined": {name: why for one in scores for name, why in one.get("undefined", {}).items()},
        "train_seconds": _mean([one.get("train_seconds") for one in scores]),
        "predict_seconds": _mean([one.get("predict_seconds") for one in scores]),
        "data": None,
        "notes": [*dict.fromkeys(note for one in scores for note in one.get("notes", [])), note],
        **({"confusion_matrix": np.sum(matrices, axis=0).tolist()} if matrices else {}),
    }
    return Run(
        first.fingerprint,
        {**first.scores, **together},
        [row for run in folds for row in run.predictions],
        first.settings,
        {name: value for name, value in first.inputs.items() if name != "data"},
        first.train_rows,
    )


def _scoreboard(runs: list[Run]) -> Scoreboard:
    first = runs[0].scores
    systems = _systems(runs)
    primary = first["primary"]
    return Scoreboard(
        task=first["task"],
        kind=first["kind"],
        split=first["split"],
        data=first.get("data"),
        n=first["n"],
        primary=primary,
        labels=list(first.get("labels", [])),
        # Losses among the metrics are better when lower, but none of them is anybody's primary one.
        systems=sorted(systems, key=lambda system: _best_first(system.mean(primary))),
    )


def _best_first(value: float | None) -> tuple[bool, float]:
    """A place among values; what has none comes last, behind what is below 0 too."""
    return value is None, -(value or 0.0)


def _systems(runs: list[Run]) -> list[System]:
    by_name: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        settings = {key: value for key, value in (run.settings or {}).items() if key != _SAMPLED}
        by_name[run.scores["model"]][json.dumps(settings, sort_keys=True)].append(run)
    systems = []
    for name, groups in by_name.items():
        for group in groups.values():
            others = [other[0] for other in groups.values() if other is not group]
            suffix = f" ({_told_apart(group[0], others)})" if others else ""
            systems.append(_by_size(name, suffix, group))
    return systems


def _by_size(name: str, suffix: str, runs: list[Run]) -> System:
    """The runs on the most training rows as the system, and those on fewer beside it."""
    sizes: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        sizes[(run.settings or {}).get(_SAMPLED)].append(run)
    ordered = sorted(sizes.items(), key=lambda size: math.inf if size[0] is None else size[0])
    *smaller, largest = [System(name + suffix, _by_seed(name, group)) for _, group in ordered]
    return System(largest.name, largest.runs, smaller)


def _by_seed(name: str, runs: list[Run]) -> list[Run]:
    seeds = [run.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        repeated = next(seed for seed in seeds if seeds.count(seed) > 1)
        raise DataError(
            f"two runs are called {name!r} and have the seed {repeated}",
            where=", ".join(run.fingerprint for run in runs if run.seed == repeated),
            remedy="Give each model a name of its own (`name` of finetune or evaluate_vectors), and the report its `models`.",
        )
    return sorted(runs, key=lambda run: (run.seed is not None, run.seed or 0))


def _told_apart(run: Run, others: Sequence[Run]) -> str:
    """The settings in which `run` differs from other runs of the same name."""
    found = [setting_differences(run, other) for other in others]
    # What only one of them has a setting for says which version made it, not what it is.
    shared = [{k: pair for k, pair in one.items() if None not in pair} or one for one in found]
    differing = {key: value for one in shared for key, (value, _) in one.items()}
    return ", ".join(f"{key}={json.dumps(value)}" for key, value in sorted(differing.items())) or "settings unknown"


def setting_differences(a: Run, b: Run) -> dict[str, tuple[Any, Any]]:
    """The settings, and the inputs they started from, in which two runs' models differ."""
    mine = {**(a.settings or {}), **a.inputs}
    yours = {**(b.settings or {}), **b.inputs}
    return {
        key: (mine.get(key), yours.get(key))
        for key in sorted(mine.keys() | yours.keys())
        if mine.get(key) != yours.get(key)
    }


# --- figures of a system ---------------------------------------------------------------------------------------


def describe(system: System, board: Scoreboard) -> dict[str, Any]:
    """A system's figures as plain JSON: every metric over seeds, the primary one's interval, cost, counts by label."""
    runs = [run.scores for run in system.runs]
    names = list(dict.fromkeys(name for run in runs for name in run["metrics"]))
    interval, why_none = _interval(system, board)
    return {
        "model": system.name,
        "seeds": [run.seed for run in system.runs],
        "metrics": {name: over_seeds(name, runs) for name in names},
        "interval": interval,
        "interval_missing": why_none,
        "learning_curve": [_point(one, board) for one in (*system.smaller, system)] if system.smaller else [],
        "parameters": runs[0].get("parameters"),
        "train_seconds": _mean([run.get("train_seconds") for run in runs]),
        "predict_seconds": _mean([run.get("predict_seconds") for run in runs]),
        "truncated": runs[0].get("truncated"),
        "per_type": entity_types.over_seeds(runs),
        "confusion": _mean_matrix([run.get("confusion_matrix") for run in runs]),
        "runs": [
            {"seed": run.seed, "fingerprint": run.fingerprint, board.primary: run.scores["metrics"].get(board.primary)}
            for run in system.runs
        ],
        "notes": [*dict.fromkeys(note for run in runs for note in run.get("notes", [])), *_sampled_note(system)],
    }


def _point(system: System, board: Scoreboard) -> dict[str, Any]:
    """The primary metric of the runs on one number of training rows."""
    found = over_seeds(board.primary, [run.scores for run in system.runs])
    return {
        "rows": system.runs[0].train_rows,
        "mean": found["mean"],
        "sd": found["sd"],
        "interval": _interval(system, board)[0],
        "seeds": len(system.runs),
    }


def _sampled_note(system: System) -> list[str]:
    first = system.runs[0]
    sampled = (first.settings or {}).get(_SAMPLED) is not None
    return [f"Trained on a sample of {first.train_rows:,} training rows (max_train_samples)."] if sampled else []


def over_seeds(metric: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean, sample standard deviation, least and greatest value of a metric; `missing` says why there is none."""
    values = [run["metrics"].get(metric) for run in runs]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        reasons = [run.get("undefined", {}).get(metric) for run in runs]
        reason = next((reason for reason in reasons if reason), "not measured")
        return {"mean": None, "sd": None, "min": None, "max": None, "values": values, "missing": reason}
    return {
        "mean": statistics.fmean(known),
        "sd": statistics.stdev(known) if len(known) > 1 else None,
        "min": min(known),
        "max": max(known),
        "values": values,
    }


def _interval(system: System, board: Scoreboard) -> tuple[list[float] | None, str | None]:
    """The bootstrap interval over test examples of the primary metric, averaged over seeds."""
    if len(system.runs) == 1:
        found = system.runs[0].scores.get("intervals", {}).get(board.primary)
        return (list(found), None) if found else (None, "the resamples leave the metric undefined")
    try:
        ends = interval_over_seeds([run.predictions for run in system.runs], board.primary, system.runs[0].scores)
    except DataError as e:
        return None, e.what
    return (list(ends), None) if ends else (None, "the resamples leave the metric undefined")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _mean_matrix(matrices: Sequence[list[list[int]] | None]) -> list[list[float]] | None:
    known = [rows for rows in matrices if rows]
    means: list[list[float]] | None = np.mean(known, axis=0).tolist() if known else None
    return means
