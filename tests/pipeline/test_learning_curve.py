"""The learning curve: one model on several numbers of training rows, scored on the same texts, drawn as one line."""

import json
from pathlib import Path

import pytest

from bertkit.artifacts import Model
from bertkit.errors import ConfigError
from bertkit.pipeline.graph import make_plan
from bertkit.pipeline.runner import latest, run
from bertkit.pipeline.summary import write_summaries
from bertkit.reporting import learning_curve, markdown_page, page, plots

SHORT = ["model.seeds=[1, 2]", "model.max_steps=6"]


def test_a_curve_shows_every_size_and_scores_the_largest(topic_pipeline: Path, tmp_path: Path) -> None:
    plan = make_plan(topic_pipeline, [*SHORT, "model.train_sizes=[30, 12, all]"], root=tmp_path)
    run(plan, plan.nodes)
    write_summaries(plan, [node.entry for node in plan.nodes])

    rows = {node.name: Model(node.out).read_json("predictor.json")["examples"] for node in plan.select("model")}
    assert rows == {
        **{f"model@{seed}@{size}rows": size for seed in (1, 2) for size in (12, 30)},
        **{f"model@{seed}@allrows": 81 for seed in (1, 2)},
    }
    whole = make_plan(topic_pipeline, SHORT, root=tmp_path)
    assert [node.state for node in whole.select("scores")] == ["done", "done"]  # all rows are the entry without sizes

    report = json.loads((latest(plan) / "report" / "report.json").read_text())
    (task,) = report["tasks"]
    (system,) = task["systems"]
    (scored,) = {node.fingerprint for node in plan.select("scores@2@allrows")}
    assert [one["fingerprint"] for one in system["runs"]][1] == scored
    assert [(point["rows"], point["seeds"]) for point in system["learning_curve"]] == [(12, 2), (30, 2), (81, 2)]
    summaries = [json.loads((latest(plan) / f"scores@{size}rows.summary.json").read_text()) for size in (12, 30, "all")]
    means = [summary["metrics"]["accuracy"]["mean"] for summary in summaries]
    assert [point["mean"] for point in system["learning_curve"]] == pytest.approx(means)
    assert system["notes"] == [note for note in system["notes"] if "sample" not in note]

    older = {"rows": None, "seeds": 1, "mean": 0.5, "sd": None, "interval": None}  # did not say its number of rows
    system["learning_curve"].append(older)
    assert "| BERT, pretrained | – | 50.0 |" in markdown_page.render(report)
    drawn = learning_curve.plot(task)
    assert drawn is not None
    assert len(plots.draw(drawn).marks) == 3
    assert "score by training rows" in page.render(report)
    assert "| BERT, pretrained | 12 |" in markdown_page.render(report)
    assert "topic: BERT, pretrained, 12 training rows" in page.render(report)


def test_without_sizes_there_is_no_curve_and_a_sample_is_told(topic_pipeline: Path, tmp_path: Path) -> None:
    plan = make_plan(
        topic_pipeline, ["model.max_train_samples=40", "model.seeds=[3]", "model.max_steps=2"], root=tmp_path
    )
    run(plan, plan.nodes)
    (task,) = json.loads((latest(plan) / "report" / "report.json").read_text())["tasks"]
    assert task["systems"][0]["learning_curve"] == []
    assert (learning_curve.plot(task), learning_curve.table(task)) == (None, None)
    assert "Trained on a sample of 40 training rows (max_train_samples)." in task["systems"][0]["notes"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("scores.train_sizes=[10]", "scores: train_sizes are of finetune, not evaluate"),
        ("model.train_sizes=[1]", "greater than or equal to 2"),
        ("model.train_sizes=[]", "at least 1 item"),
        ("model.train_sizes=[most]", "train_sizes"),
    ],
)
def test_sizes_that_do_not_fit_are_mistakes(topic_pipeline: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(topic_pipeline, [override], root=tmp_path)
