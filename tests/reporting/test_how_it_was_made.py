"""How results were made: curves of fine-tuning, the pipeline as a picture, and commands that make it again."""

import shlex

import pytest

from bertkit.config import build, parse_overrides
from bertkit.reporting import markdown_page, page, pipeline_picture, reproduction, score_tables, training_curves
from bertkit.reporting.collect import collect
from bertkit.stages.finetune import finetune

GOLD = [0, 1, 2] * 4


@pytest.fixture
def report(make):
    data = make.task_data([f"text {i}" for i in range(12)], GOLD)
    models = [make.model(seed=seed, data=data) for seed in (2, 1)] + [make.model("bag", data=data)]
    metrics = [
        make.metrics(
            GOLD,
            GOLD,
            name=model.read_json("predictor.json")["name"],
            seed=model.read_json("predictor.json")["seed"],
            model=model,
            data=data,
        )
        for model in models
    ]
    return collect(metrics, task_data=[data], models=models)


def test_the_curves_of_a_model_have_a_line_a_seed(report):
    groups = training_curves.groups(report)
    assert [name for name, _ in groups] == ["places: BERT", "places: bag"]
    plots = {plot.title: plot for plot in groups[0][1]}
    assert list(plots) == ["Training loss", "Validation", "Learning rate", "Gradient norm", "Speed"]
    assert [line.name for line in plots["Validation"].lines] == ["seed 1", "seed 2"]
    assert plots["Validation"].lines[0].points == [(30, 0.5), (60, 0.25), (90, None)]
    html = page.render(report)
    assert "Gradient norm" in html
    assert "Gradient norm" in markdown_page.render(report)


def test_a_model_without_a_log_has_no_curves():
    assert training_curves.series([], "f1") == {}


def test_the_pipeline_puts_each_result_under_what_it_was_made_from(report):
    found = report["pipeline"]
    names = [pipeline_picture.name(one) for one in found]
    assert names[0] == "task_data: places"
    assert "finetune: places, BERT ×2" in names
    for i, one in enumerate(found):
        assert all(given < i for given in one["inputs"])
    bert = found[names.index("finetune: places, BERT ×2")]
    assert (bert["runs"], bert["seconds"], bert["inputs"]) == (2, 25.0, [0])
    assert bert["bytes"] > 0
    drawn = pipeline_picture.picture(report)
    assert len(drawn.stops) == 5
    # Each model from the data, each score from its model.
    assert len(drawn.paths) == 4
    assert max(stop.bar for stop in drawn.stops) == 120


@pytest.mark.parametrize("given", [["learning_rate=3e-5", "name=it's 长 'x'", "loss.gamma=2"], ["name=null", "seed=7"]])
def test_commands_make_the_same_results_again(given):
    values = build(finetune.config, parse_overrides(given), name="finetune")
    told = values.model_dump(mode="json", exclude_unset=True)
    made = {"stage": "finetune", "fingerprint": "0123456789", "given": told, "inputs": {"data": "ff"}}
    words = shlex.split(reproduction.command(made, {}))
    assert words[:4] == ["python", "recipes/finetune.py", "--input", "data=DIR-OF-ff"]
    again = build(finetune.config, parse_overrides(words[6:]), name="finetune")
    assert again.identity() == values.identity()


def test_the_page_shows_the_commands_in_order(report):
    lines = [line for _, line in reproduction.commands(report)]
    assert len(lines) == 5
    assert lines[0].startswith("python recipes/task_data.py --out artifacts/task_data/")
    assert "--input data=artifacts/task_data/" in lines[1]
    assert "recipes/finetune.py" in markdown_page.render(report)


def test_runs_name_their_task_and_how_many_training_texts_were_cut(report):
    table = score_tables.fine_tuning(report)
    assert [column.title for column in table.columns][:2] == ["task", "model"]
    assert "training texts cut" not in [column.title for column in table.columns]
    runs = [{**run, "train_truncated": 1234} for run in report["fine_tuning"]]
    table = score_tables.fine_tuning({"fine_tuning": runs})
    assert table.columns[-1].title == "training texts cut"
    assert {row.cells[-1] for row in table.rows} == {"1,234"}
    assert {row.cells[0] for row in table.rows} == {"places"}
