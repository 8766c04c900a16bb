"""Seeds and folds of a pipeline: expanded into runs of their own, and told as one."""

import json
import statistics
from pathlib import Path

import pytest

from bertkit.artifacts import Metrics, TaskData
from bertkit.errors import ConfigError
from bertkit.pipeline.graph import Plan, make_plan
from bertkit.pipeline.runner import latest, run
from bertkit.pipeline.summary import summarise, told, write_summaries


@pytest.fixture
def folded(topic_pipeline: Path) -> Path:
    text = topic_pipeline.read_text()
    topic_pipeline.write_text(text.replace("stage: task_data\n", "stage: task_data\n    folds: 3\n"))
    return topic_pipeline


def names(plan: Plan) -> list[str]:
    return [node.name for node in plan.nodes]


def test_folds_carry_over_to_what_reads_them_and_cross_with_seeds(folded: Path, tmp_path: Path) -> None:
    plan = make_plan(folded, ["model.seeds=[4, 5]"], root=tmp_path)
    assert names(plan)[:3] == ["data@fold1", "data@fold2", "data@fold3"]
    assert {"model@4@fold1", "model@5@fold3", "scores@4@fold2"} <= set(names(plan))
    assert len(plan.select("scores")) == 6
    (scores,) = plan.select("scores@5@fold2")
    assert [one.name for given in scores.inputs.values() for one in given] == ["model@5@fold2", "data@fold2"]
    assert scores.variant.seed == 5
    assert len(plan.select("report")[0].inputs["metrics"]) == 6


def test_folds_that_do_not_fit_are_mistakes(folded: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model: folds are cut by task_data, not finetune"):
        make_plan(folded, ["model.folds=3"], root=tmp_path)
    with pytest.raises(ConfigError, match="folds"):
        make_plan(folded, ["data.folds=1"], root=tmp_path)
    text = folded.read_text().replace("model: model, data: data", "model: model, data: other")
    folded.write_text(text + text.split("stages:\n")[1].split("  model:")[0].replace("data:", "other:", 1))
    with pytest.raises(ConfigError, match="its inputs are run for different folds"):
        make_plan(folded, ["other.folds=4"], root=tmp_path)


def test_cross_validation_scores_every_row_once(folded: Path, made_up: Path, tmp_path: Path) -> None:
    plan = make_plan(folded, [], root=tmp_path)
    run(plan, plan.nodes)
    write_summaries(plan, [node.entry for node in plan.nodes])

    nodes = plan.select("scores")
    predictions = [Metrics(node.out).predictions() for node in nodes]
    ids = [row["id"] for rows in predictions for row in rows]
    every = {f"{split}:{i + 1}" for split, n in (("train", 90), ("test", 30)) for i in range(n)}
    assert len(ids) == len(set(ids)) == 120
    assert set(ids) == every
    for node, rows in zip(plan.select("data"), predictions, strict=True):
        held_out = {row["text"] for row in TaskData(node.out).rows("test")}
        others = {row["text"] for split in ("train", "validation") for row in TaskData(node.out).rows(split)}
        assert not held_out & others
        assert len(rows) == len(TaskData(node.out).rows("test"))

    summary = json.loads((latest(plan) / "scores.summary.json").read_text())
    values = [Metrics(node.out).read_json("metrics.json")["metrics"]["accuracy"] for node in nodes]
    accuracy = summary["metrics"]["accuracy"]
    assert accuracy["values"] == values
    assert accuracy["mean"] == pytest.approx(statistics.fmean(values))
    assert accuracy["standard_deviation"] == pytest.approx(statistics.stdev(values))
    assert accuracy["interval"][0] <= accuracy["mean"] <= accuracy["interval"][1]
    right = sum(row["gold"] == row["predicted"] for rows in predictions for row in rows)
    assert summary["pooled"]["accuracy"] == pytest.approx(right / 120)
    assert (summary["n"], summary["folds"], summary["seeds"]) == (120, 3, [])
    assert "over 3 folds" in told(summary)

    (task,) = json.loads((latest(plan) / "report" / "report.json").read_text())["tasks"]
    (system,) = task["systems"]
    assert task["n"] == 120
    assert system["metrics"]["accuracy"]["mean"] == pytest.approx(statistics.fmean(values))
    assert system["interval"] == pytest.approx(accuracy["interval"])
    assert sum(map(sum, system["confusion"])) == 120


def test_seeds_are_told_as_one(folded: Path, tmp_path: Path) -> None:
    folded.write_text(folded.read_text().replace("    folds: 3\n", ""))
    plan = make_plan(folded, ["model.seeds=[1, 2, 3]", "model.max_steps=2"], root=tmp_path)
    run(plan, plan.nodes)
    summary = summarise(plan.select("scores"))
    values = [Metrics(node.out).read_json("metrics.json")["metrics"]["accuracy"] for node in plan.select("scores")]
    assert (summary["seeds"], summary["folds"], summary["n"]) == ([1, 2, 3], None, 30)
    assert summary["metrics"]["accuracy"]["values"] == values
    assert summary["pooled"] is None
    assert "over 3 seeds" in told(summary)


def test_folds_of_several_seeds_are_averaged_over_seeds_first(folded: Path, tmp_path: Path) -> None:
    plan = make_plan(folded, ["model.seeds=[1, 2]", "model.max_steps=2", "data.folds=2"], root=tmp_path)
    run(plan, plan.nodes)
    nodes = plan.select("scores")
    summary = summarise(nodes)
    value = {
        (node.variant.seed, node.variant.fold): Metrics(node.out).read_json("metrics.json")["metrics"]["accuracy"]
        for node in nodes
    }
    assert summary["metrics"]["accuracy"]["values"] == pytest.approx(
        [statistics.fmean(value[seed, fold] for seed in (1, 2)) for fold in ("1/2", "2/2")]
    )
    assert (summary["n"], summary["folds"], summary["seeds"]) == (120, 2, [1, 2])
    assert "over 2 folds and 2 seeds" in told(summary)
    (task,) = json.loads((latest(plan) / "report" / "report.json").read_text())["tasks"]
    assert task["systems"][0]["seeds"] == [1, 2]
    assert task["n"] == 120
