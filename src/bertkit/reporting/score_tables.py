"""The tables of scores, comparisons, training runs and held-out figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertkit.reporting import numbers, overview
from bertkit.reporting.numbers import MISSING, count, duration, number, share
from bertkit.reporting.table import Column, Row, Table

Report = Mapping[str, Any]


def scores(task: Report) -> Table:
    """One row a model: the primary metric over seeds, its interval, and what the model cost."""
    primary = task["primary"]
    beside = [name for name in ("accuracy", "macro_f1") if name != primary and name in task["systems"][0]["metrics"]][
        :1
    ]
    several = any(len(system["seeds"]) > 1 for system in task["systems"])
    columns = [Column("model", numeric=False), Column(numbers.heading(primary)), Column("95\u00a0% interval")]
    columns += [Column("min to max"), Column("seeds")] if several else []
    columns += [Column(numbers.heading(name)) for name in beside]
    columns += [Column("against the best", numeric=False)] if len(task["systems"]) > 1 else []
    columns += [Column("parameters"), Column("training"), Column(f"{numbers.item(task['kind'])}s a second")]
    rows = []
    for system in task["systems"]:
        value = system["metrics"][primary]
        cells = [system["model"], numbers.mean_and_sd(primary, value), numbers.score_range(primary, system["interval"])]
        cells += [_spread(primary, value), str(len(system["seeds"]))] if several else []
        cells += [numbers.mean_and_sd(name, system["metrics"][name]) for name in beside]
        cells += [overview.against_best(task, system)] if len(task["systems"]) > 1 else []
        cells += [numbers.size(system["parameters"]), duration(system["train_seconds"]), overview.speed(task, system)]
        rows.append(Row(cells))
    caption = f"{task['name']}, {numbers.plural(task['n'], task['split'] + ' ' + numbers.item(task['kind']))}"
    return Table(caption, columns, rows, _score_notes(task, several))


def _spread(metric: str, value: Mapping[str, Any]) -> str:
    return numbers.score_range(metric, (value["min"], value["max"])) if value["sd"] is not None else MISSING


def _score_notes(task: Report, several: bool) -> list[str]:
    notes = []
    if several:
        notes.append("± is the standard deviation over seeds; times and sizes are for one seed.")
    notes.append(
        "The interval comes from resampling the test examples (bootstrap): it says how much another draw of texts "
        "would change the score, not how much another seed would."
    )
    if base := task["majority"]:
        notes.append(f"Always answering “{base['label']}” would be right for {share(base['share'])} of the texts.")
    for system in task["systems"]:
        if system["interval_missing"]:
            notes.append(f"{system['model']} has no interval: {system['interval_missing']}.")
    return notes + _own_notes(task["systems"])


def _own_notes(systems: Sequence[Report]) -> list[str]:
    """What was noted of each model; once and without a name where it was noted of all."""
    shared = [note for note in systems[0]["notes"] if all(note in system["notes"] for system in systems)]
    return shared + [f"{s['model']}: {note}" for s in systems for note in s["notes"] if note not in shared]


def all_metrics(task: Report) -> Table:
    """Every metric of every model; what is undefined says why."""
    systems = task["systems"]
    names = list(dict.fromkeys(name for system in systems for name in system["metrics"]))
    rows, notes = [], []
    for name in names:
        unit = ",\u00a0%" if numbers.unit(name) else ""
        cells = []
        for system in systems:
            value = system["metrics"].get(name) or {"mean": None, "sd": None, "missing": "not measured"}
            cells.append(numbers.mean_and_sd(name, value))
            if value["mean"] is None:
                notes.append(f"{numbers.title(name)} of {system['model']}: {value.get('missing', 'not measured')}.")
        rows.append(Row([numbers.title(name) + unit, *cells]))
    columns = [Column("metric", numeric=False), *(Column(system["model"]) for system in systems)]
    if any(len(system["seeds"]) > 1 for system in systems):
        notes.insert(0, "With several seeds: the mean of each seed's own value ± the standard deviation.")
    return Table(f"Every metric on {task['name']}", columns, rows, notes)


def comparisons(task: Report) -> Table | None:
    """Every paired comparison; None where there is but one model."""
    if not task["comparisons"]:
        return None
    metric = next((found["metric"] for found in task["comparisons"] if found["claim"]), task["primary"])
    columns = [
        Column("compared", numeric=False),
        Column(f"points of {numbers.title(metric)}"),
        Column("95\u00a0% interval"),
        Column("p"),
        Column("what differs", numeric=False),
    ]
    rows, notes = [], []
    for found in task["comparisons"]:
        subject = f"{found['first']} − {found['second']}"
        varied = found["varied"]
        differs = "not known" if varied is None else ", ".join(varied) or "nothing but the seed"
        if found["claim"] is None:
            rows.append(Row([subject, MISSING, MISSING, MISSING, differs]))
            notes.append(f"{subject} cannot be compared: {found['missing']}")
            continue
        ends = " to ".join(numbers.score(metric, found[end], sign=True) for end in ("low", "high"))
        difference = numbers.score(metric, found["difference"], sign=True)
        rows.append(Row([subject, difference, ends, _p_value(found["p_value"]), differs]))
    items = numbers.item(task["kind"]) + "s"
    each = "each text's correctness" if metric == "accuracy" else numbers.title(metric)
    notes.insert(
        0,
        f"Over the same {items}, {each} averaged over seeds. Interval: paired bootstrap. p: approximate randomisation, how "
        f"often a difference is as large where the two models' answers to each {numbers.item(task['kind'])} change sides "
        "by a coin.",
    )
    if len(task["comparisons"]) > 1:
        notes.insert(1, "Neither is corrected for making several comparisons.")
    return Table(f"Differences on {task['name']}", columns, rows, notes)


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def fine_tuning(report: Report) -> Table | None:
    """One row a fine-tuning run; None without any."""
    if not report["fine_tuning"]:
        return None
    titles = ["seed", "steps", "of at most", "best step", "validation", "training"]
    cut = any(run.get("train_truncated") for run in report["fine_tuning"])
    rows = []
    for run in report["fine_tuning"]:
        metric = run["metric_for_best_model"] or ""
        best = f"{metric} {numbers.score(metric, run['best_metric'])}{numbers.unit(metric)}" if metric else MISSING
        steps = [count(run[key]) for key in ("global_step", "max_steps", "best_step")]
        seed = MISSING if run["seed"] is None else str(run["seed"])
        cells = [str(run["task"]), str(run["name"]), seed, *steps, best, duration(run["train_seconds"])]
        rows.append(Row([*cells, *([count(run.get("train_truncated"))] if cut else [])]))
    titles += ["training texts cut"] if cut else []
    columns = [Column("task", numeric=False), Column("model", numeric=False), *(Column(title) for title in titles)]
    return Table("Fine-tuning runs; the weights of the best step were kept", columns, rows)


def per_type(task: Report, system: Report) -> Table | None:
    """How well each type of entity is found; None for other kinds of tasks."""
    if not system["per_type"]:
        return None
    keys = ("precision", "recall", "f1")
    rows = [
        Row(
            [
                name,
                *(numbers.mean_and_sd(key, found[key]) for key in keys),
                count(found["support"]),
                count(found["predicted"]),
            ]
        )
        for name, found in system["per_type"].items()
    ]
    columns = [Column("type", False), *(Column(f"{numbers.title(key)},\u00a0%") for key in keys)]
    seeds = f", mean ± sd of {len(system['seeds'])} seeds" if len(system["seeds"]) > 1 else ""
    return Table(f"{system['model']} by type of entity{seeds}", [*columns, Column("gold"), Column("predicted")], rows)


def confusion_pairs(task: Report, system: Report, pairs: Sequence[Mapping[str, Any]]) -> Table:
    """The most frequent confusions, where a matrix would be too large."""
    rows = [Row([p["gold"], p["predicted"], count(p["count"]), share(p["of_gold"])], bar=p["of_gold"]) for p in pairs]
    columns = [Column("gold", False), Column("predicted", False), Column("texts"), Column("of the gold label")]
    mean = " (mean over seeds)" if len(system["seeds"]) > 1 else ""
    return Table(f"{system['model']}: most frequent confusions{mean}", columns, rows)


_MEASURES = {
    "mlm_loss": "MLM loss",
    "perplexity": "perplexity",
    "mlm_accuracy": "MLM accuracy",
    "nsp_loss": "NSP loss",
    "nsp_accuracy": "NSP accuracy",
}


def measurements(run: Report, *, limit: int = 12) -> Table | None:
    """The held-out figures at up to `limit` of the measured steps, the first and the last among them."""
    found = run["measurements"]
    if not found:
        return None
    if len(found) > limit:
        found = [found[round(i * (len(found) - 1) / (limit - 1))] for i in range(limit)]
    keys = [key for key in _MEASURES if any(row[key] is not None for row in found)]
    rows = [Row([count(row["step"]), *(measure(key, row[key]) for key in keys)]) for row in found]
    return Table("Held-out text", [Column("step"), *(Column(_MEASURES[key]) for key in keys)], rows)


def measure(key: str, value: float | None) -> str:
    """A held-out figure in its unit."""
    return share(value) if key.endswith("accuracy") else number(value, 4 if key.endswith("loss") else 3)
