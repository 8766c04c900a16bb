"""Runs to lines of the score table."""

import statistics

import pytest

from bertkit.errors import DataError
from bertkit.reporting import score_tables, scores
from bertkit.reporting.collect import collect

GOLD = [0, 1, 2] * 20


def wrong_at(*places):
    return [(g + 1) % 3 if i in places else g for i, g in enumerate(GOLD)]


def boards(*metrics, models=()):
    by_fingerprint = {model.fingerprint: model for model in models}
    return scores.scoreboards([scores.read_run(one, by_fingerprint) for one in metrics])


def test_seeds_of_one_model_become_one_line_with_mean_and_spread(make):
    runs = [make.metrics(wrong_at(*range(n)), GOLD, seed=seed) for seed, n in ((3, 3), (1, 6), (2, 9))]
    (board,) = boards(*runs)
    (system,) = board.systems
    described = scores.describe(system, board)
    accuracies = [1 - n / 60 for n in (6, 9, 3)]
    assert described["seeds"] == [1, 2, 3]
    assert described["metrics"]["accuracy"]["values"] == pytest.approx(accuracies)
    assert described["metrics"]["accuracy"]["mean"] == pytest.approx(0.9)
    assert described["metrics"]["accuracy"]["sd"] == pytest.approx(statistics.stdev(accuracies))
    low, high = described["interval"]
    assert low < 0.9 < high
    assert sum(map(sum, described["confusion"])) == pytest.approx(60)
    task = collect(runs)["tasks"][0]
    row = score_tables.scores(task).rows[0].cells
    assert row[:5] == ["BERT", "90.0 ± 5.0", row[2], "85.0 to 95.0", "3"]


def test_one_seed_has_its_own_interval_and_no_spread(make):
    metrics = make.metrics(wrong_at(1, 2), GOLD)
    task = collect([metrics])["tasks"][0]
    assert task["systems"][0]["interval"] == metrics.read_json("metrics.json")["intervals"]["accuracy"]
    assert "±" not in score_tables.scores(task).rows[0].cells[1]


def test_the_best_model_comes_first_and_the_same_run_counts_once(make):
    weak, strong = make.metrics(wrong_at(*range(9)), GOLD, name="weak"), make.metrics(GOLD, GOLD, name="strong")
    (board,) = boards(weak, strong, weak)
    assert [system.name for system in board.systems] == ["strong", "weak"]


def test_a_model_without_a_value_is_behind_those_that_have_one(make):
    values = {"flat": None, "against": -0.4, "along": 0.2, "flat too": None}
    rows = [{"id": "1", "gold": 1.0, "predicted": 1.0}]
    runs = [
        make.metrics_of(rows, kind="classification", name=name, n=1, metrics={"f1": value})
        for name, value in values.items()
    ]
    (board,) = boards(*runs)
    assert [system.name for system in board.systems] == ["along", "against", "flat", "flat too"]


def test_tasks_and_splits_stand_apart(make):
    found = boards(make.metrics(GOLD, GOLD), make.metrics(GOLD, GOLD, split="validation"))
    assert [(board.task, board.split) for board in found] == [("places", "test"), ("places", "validation")]


def test_other_settings_under_one_name_are_told_apart(make):
    models = [make.model(learning_rate=rate, seed=seed) for rate, seed in ((1e-4, 1), (1e-4, 2), (1e-3, 1))]
    runs = [make.metrics(GOLD, GOLD, seed=seed, model=model) for model, seed in zip(models, (1, 2, 1), strict=True)]
    (board,) = boards(*runs, models=models)
    assert {(system.name, len(system.runs)) for system in board.systems} == {
        ("BERT (learning_rate=0.0001)", 2),
        ("BERT (learning_rate=0.001)", 1),
    }


def test_two_runs_that_cannot_be_told_apart_are_refused(make):
    with pytest.raises(DataError, match="two runs are called 'BERT' and have the seed 1"):
        boards(make.metrics(GOLD, GOLD), make.metrics(wrong_at(1), GOLD))


def test_an_undefined_metric_is_a_dash_with_its_reason(make):
    only_gardens = [0] * 20
    task = collect([make.metrics(only_gardens, only_gardens)])["tasks"][0]
    table = score_tables.all_metrics(task)
    cells = {row.cells[0]: row.cells[1] for row in table.rows}
    assert cells["Matthews correlation"] == "–"
    assert any("every gold label is the same" in note for note in table.notes)


def test_a_metric_that_one_fold_cannot_have_keeps_its_reason(make):
    folds = [make.metrics(GOLD, GOLD, fold="1/2"), make.metrics([0] * 20, [0] * 20, fold="2/2")]
    (board,) = boards(*folds)
    found = scores.describe(board.systems[0], board)["metrics"]
    assert found["matthews_correlation"]["mean"] is None
    assert found["matthews_correlation"]["missing"] == "every gold label is the same"
    assert found["accuracy"]["mean"] == 1.0
