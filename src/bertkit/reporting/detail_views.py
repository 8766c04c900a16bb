"""The details of a task, from `report.json`, as tables and plots that both pages show."""

from collections.abc import Iterator, Mapping
from typing import Any

from bertkit.reporting import numbers
from bertkit.reporting.details import LABEL_SETS, LABELS, NUMBERS
from bertkit.reporting.numbers import count, score
from bertkit.reporting.plots import Axis, Line, Plot
from bertkit.reporting.table import Column, Row, Table
from bertkit.reporting.tagging_details import ERRORS

Report = Mapping[str, Any]
_RATES = ("precision", "recall", "f1")


def shown(task: Report) -> Table | None:
    """The table that a reader of a task should see first."""
    found = task["details"]
    made = {"tagging": _errors, LABEL_SETS: _per_label, NUMBERS: _worst}
    return made[found["of"]](task, found) if found and found["of"] in made else None


def folded(task: Report) -> list[Table]:
    """The tables that a reader may want to open: what the matrix of labels says already, and scores in parts."""
    found = task["details"]
    if not found:
        return []
    own = [_per_label(task, found), _by_confidence(found)] if found["of"] == LABELS else []
    return own + [_slice(task, found, one) for one in found.get("slices", ())]


def folded_names(task: Report) -> str:
    """What the folded tables are by: `label, length of text`."""
    found = task["details"]
    names = ["label", "confidence"] if found["of"] == LABELS else []
    return ", ".join([*names, *(part["by"].partition(",")[0] for part in found.get("slices", ()))])


def plots(task: Report) -> list[Plot]:
    """The plots of a task's details."""
    found = task["details"]
    made = {LABELS: _label_plots, LABEL_SETS: _label_plots, NUMBERS: _scatter, "spans": _threshold}
    return list(made[found["of"]](task, found)) if found and found["of"] in made else []


def _slice(task: Report, found: Report, part: Report) -> Table:
    """Scores in the parts of a test set, with a bar for the first metric where it is a share."""
    first = part["metrics"][0]
    bars = bool(numbers.unit(first))
    rows = [
        Row(
            [one["name"], count(one["count"]), *(score(key, one["values"][key]) for key in part["metrics"])],
            bar=(one["values"][first] or 0.0) if bars else None,
        )
        for one in part["rows"]
    ]
    columns = [Column(part["by"], False), Column(f"{numbers.item(task['kind'])}s")]
    columns += [Column(numbers.heading(key)) for key in part["metrics"]]
    return Table(f"{found['model']} by {part['by'].partition(',')[0]}{_seeds(found)}", columns, rows)


def _errors(task: Report, found: Report) -> Table:
    rows = [Row([one["model"], *(count(round(one[key], 1)) for key in ERRORS)]) for one in found["errors"]]
    notes = ["A gold entity is told by the wrong one that comes nearest to it: each is counted once."]
    columns = [Column("model", False), *(Column(title) for title in ERRORS.values())]
    return Table(f"{task['name']}: entities that are not right, by kind of error", columns, rows, notes)


def _per_label(task: Report, found: Report) -> Table:
    sets = found["of"] == LABEL_SETS
    areas = {one["label"]: one["average_precision"] for one in found["curves"]}
    columns = [Column("label", False), *(Column(numbers.heading(key)) for key in _RATES), Column("gold")]
    columns += [Column("average precision")] if areas else []
    columns += [Column("lowest score taken")] if sets else []
    rows = []
    for label, one in found["per_label"].items():
        cells = [label, *(score(key, one[key]) for key in _RATES), count(one["support"])]
        cells += [numbers.number(areas.get(label))] if areas else []
        cells += [numbers.number(one["lowest_taken"])] if sets else []
        rows.append(Row(cells, bar=one["f1"] or 0.0))
    notes = ["Bars: F1."]
    if sets:
        notes.append("A label is predicted from its own threshold on, which lies just below the lowest score taken.")
    return Table(f"{found['model']} by label{_seeds(found)}", columns, rows, notes)


def _by_confidence(found: Report) -> Table:
    rows = [
        Row([numbers.share(confidence), numbers.share(accuracy), count(number)])
        for confidence, accuracy, number in found["calibration"]["bins"]
    ]
    columns = [Column("mean confidence"), Column("right"), Column("predictions")]
    return Table(f"{found['model']} by confidence{_of_seeds(found)}", columns, rows)


def _label_plots(task: Report, found: Report) -> Iterator[Plot]:
    model, curves = found["model"], found["curves"]
    if curves:
        areas = ", ".join(f"{one['label']} {numbers.number(one['average_precision'])}" for one in curves)
        notes = [f"Average precision, the area under the curve: {areas}."]
        notes += [f"The first of {found['seeds']} seeds."] if found["seeds"] > 1 else []
        lines = [Line(one["label"], _points(one)) for one in curves]
        yield Plot("Precision over recall", model, Axis("recall", 0, 1), Axis("precision", 0, 1), lines, notes=notes)
    if calibration := found.get("calibration"):
        points = [(confidence, accuracy) for confidence, accuracy, _ in calibration["bins"]]
        most = max(number for *_, number in calibration["bins"])
        sizes = [number / most for *_, number in calibration["bins"]]
        notes = [
            f"{_calibration_errors(calibration, found['seeds'])} On the dotted line, what is said with 80\u00a0% is right in "
            "80\u00a0% of the cases; under it the model is too sure.",
            "Larger dots: more texts.",
        ]
        x, y, title = Axis("confidence", 0, 1), Axis("share that is right", 0, 1), "Can its probabilities be believed?"
        yield Plot(title, model, x, y, dots=points, sizes=sizes, diagonal=True, notes=notes)


def _calibration_errors(calibration: Report, seeds: int) -> str:
    """The error of the drawn predictions, and with several seeds what it has to do with the one among the metrics."""
    together, mean = (
        numbers.score("expected_calibration_error", calibration[key])
        for key in ("error_of_all_together", "mean_error_of_seeds")
    )
    if seeds == 1:
        return f"Expected calibration error (ECE): {together}\u00a0%."
    return (
        f"Expected calibration error (ECE) of the {seeds} seeds' predictions taken together, as drawn: {together}\u00a0%; "
        f"mean of each seed's own, as among the metrics: {mean}\u00a0%."
    )


def _scatter(task: Report, found: Report) -> Iterator[Plot]:
    notes = [f"{count(len(found['points']))} of {count(found['n'])} texts. On the dotted line both are equal."]
    if found["seeds"] > 1:
        notes.append(f"Predictions are means of {found['seeds']} seeds.")
    points = [(gold, said) for gold, said in found["points"]]
    x, y, title = Axis("gold number"), Axis("predicted number"), "Predicted and gold numbers"
    yield Plot(title, found["model"], x, y, dots=points, diagonal=True, notes=notes)


def _worst(task: Report, found: Report) -> Table:
    rows = []
    for one in found["worst"]:
        off = one["predicted"] - one["gold"]
        cells = [one["id"], numbers.number(one["gold"]), numbers.number(one["predicted"]), numbers.number(off)]
        rows.append(Row([*cells, numbers.MISSING if one.get("text") is None else one["text"]]))
    columns = [Column("id", False), Column("gold"), Column("predicted"), Column("off by"), Column("text", False)]
    return Table(f"{found['model']}: the numbers that are farthest off", columns, rows)


def _threshold(task: Report, found: Report) -> Iterator[Plot]:
    curve = found["threshold"]
    if not curve:
        return
    notes = ["A question is answered where the best answer's score is above the threshold."]
    if curve["lowest_answered"] is not None:
        notes.append(f"The lowest score that was answered: {numbers.number(curve['lowest_answered'])}.")
    x, y, title = Axis("threshold"), Axis("F1"), "F1 over the threshold of no answer"
    yield Plot(title, found["model"], x, y, [Line("F1", _points(curve))], notes=notes)


def _points(one: Report) -> list[tuple[float, float | None]]:
    return [(x, y) for x, y in one["points"]]


def _of_seeds(found: Report) -> str:
    return f", all {found['seeds']} seeds" if found["seeds"] > 1 else ""


def _seeds(found: Report) -> str:
    return f", mean of {found['seeds']} seeds" if found["seeds"] > 1 else ""
