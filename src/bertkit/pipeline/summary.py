"""What an entry that was scored for several seeds or folds says as one: a summary beside the links to its results."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertkit import storage
from bertkit.artifacts import Artifact, Metrics
from bertkit.evaluation.repeats import summarise_values
from bertkit.pipeline.graph import Node, Plan, Variant
from bertkit.pipeline.runner import latest

log = logging.getLogger(__name__)


def write_summaries(plan: Plan, entries: Sequence[str]) -> None:
    """Write and tell `latest/<pipeline>/<entry>.summary.json` for each of `entries` with several scored runs, all done.

    Of an entry with several numbers of training rows, each has its own, `<entry>@<number>rows.summary.json`.
    """
    for entry in dict.fromkeys(entries):
        nodes = plan.select(entry)
        scored = len(nodes) > 1 and issubclass(nodes[0].stage.output, Metrics)
        if scored and all(node.state == "done" for node in nodes):
            for rows in dict.fromkeys(node.variant.rows for node in nodes):
                name = entry + Variant(rows=rows).suffix
                summary = summarise([node for node in nodes if node.variant.rows == rows])
                path = latest(plan) / f"{name}.summary.json"
                storage.write_json(path, summary)
                log.info("%-24s %s  %s", name, told(summary), path)


def summarise(nodes: Sequence[Node]) -> dict[str, Any]:
    """Mean, standard deviation, interval and values of every metric over the runs of one entry.

    With folds, a value is that of one fold, averaged over seeds where there are several; `pooled` has the metrics of all
    folds' predictions taken together, in which every row is predicted once, averaged over seeds in the same way.
    """
    scores = [Metrics(node.out).read_json("metrics.json") for node in nodes]
    folded = nodes[0].variant.fold is not None
    units: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for node, one in zip(nodes, scores, strict=True):
        units[node.variant.fold if folded else node.variant.seed].append(one["metrics"])
    first = scores[0]
    return {
        **{key: first[key] for key in ("task", "kind", "model", "split", "primary")},
        "n": sum(one["n"] for one in scores) // len(_seeds(nodes)) if folded else first["n"],
        "seeds": [seed for seed in _seeds(nodes) if seed is not None],
        "folds": len(units) if folded else None,
        "metrics": {
            name: summarise_values([_mean(unit, name) for unit in units.values()]) for name in first["metrics"]
        },
        "pooled": _pooled(nodes) if folded else None,
        "runs": [
            {"seed": node.variant.seed, "fold": node.variant.fold, "fingerprint": node.fingerprint, "n": one["n"]}
            for node, one in zip(nodes, scores, strict=True)
        ],
    }


def told(summary: dict[str, Any]) -> str:
    """The primary metric of a summary in one line."""
    primary = summary["primary"]
    found = summary["metrics"][primary]
    over = f"{summary['folds']} folds" if summary["folds"] else _seeds_told(summary["seeds"])
    if summary["folds"] and len(summary["seeds"]) > 1:
        over += f" and {len(summary['seeds'])} seeds"
    if found["mean"] is None:
        return f"{primary} has no value in some of {over}"
    line = f"{primary} {found['mean']:.4f}"
    if found["interval"] is not None:
        low, high = found["interval"]
        line += f", sd {found['standard_deviation']:.4f}, 95 % interval {low:.4f} to {high:.4f}"
    pooled = (summary["pooled"] or {}).get(primary)
    return f"{line} over {over}" + ("" if pooled is None else f"; {pooled:.4f} pooled")


def _seeds_told(seeds: Sequence[int]) -> str:
    return "1 seed" if len(seeds) < 2 else f"{len(seeds)} seeds"


def _pooled(nodes: Sequence[Node]) -> dict[str, float | None]:
    """The metrics of all folds' predictions together, for each seed, then averaged."""
    from bertkit.kinds import kind_of

    found = []
    for seed in _seeds(nodes):
        of_seed = [node for node in nodes if node.variant.seed == seed]
        model = _model(of_seed[0])
        predictor = Artifact(model).read_json("predictor.json")
        kind = kind_of(predictor, predictor["settings"], where=str(model))
        found.append(kind.score([row for node in of_seed for row in Metrics(node.out).predictions()])["metrics"])
    return {name: _mean(found, name) for name in found[0]}


def _model(node: Node) -> Path:
    (one,) = node.inputs["model"]
    return one.out if isinstance(one, Node) else one.path


def _seeds(nodes: Sequence[Node]) -> list[int | None]:
    return list(dict.fromkeys(node.variant.seed for node in nodes))


def _mean(scores: Sequence[dict[str, Any]], metric: str) -> float | None:
    """The mean of one metric; None where one of the scores has no value."""
    mean: float | None = summarise_values([one.get(metric) for one in scores])["mean"]
    return mean
