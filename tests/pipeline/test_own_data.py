"""`pipelines/finetune.yaml`: one command from a user's labelled file and a pretrained folder to a report."""

import json
from pathlib import Path

import pytest

from bertkit.artifacts import Metrics
from bertkit.errors import ConfigError
from bertkit.pipeline.graph import make_plan
from bertkit.pipeline.runner import latest, run

PIPELINE = Path(__file__).parents[2] / "pipelines" / "finetune.yaml"
SMALL = ["model.max_seq_length=32", "model.max_steps=2", "model.num_threads=1", "scores.bootstrap_samples=100"]


def test_a_file_and_a_folder_make_a_report(made_up: Path, tiny_start: Path, tmp_path: Path) -> None:
    source = ["data.source.format=jsonl", f"data.source.train={made_up}/train.jsonl"]
    plan = make_plan(PIPELINE, [*source, *SMALL, f"model.inputs.start={tiny_start}"], root=tmp_path)
    run(plan, plan.nodes)
    assert Metrics.open(latest(plan) / "scores").read_json("metrics.json")["n"] > 0
    report = json.loads((latest(plan) / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["tasks"]


def test_a_baseline_takes_the_start_back(made_up: Path, tmp_path: Path) -> None:
    source = ["data.source.format=jsonl", f"data.source.train={made_up}/train.jsonl", "model.preset=bag"]
    with pytest.raises(ConfigError, match=r"inputs\.start=null takes start back"):
        make_plan(PIPELINE, source, root=tmp_path)
    plan = make_plan(PIPELINE, [*source, *SMALL, "model.inputs.start=null"], root=tmp_path)
    [model] = [node for node in plan.nodes if node.name == "model"]
    assert list(model.inputs) == ["data"]


def test_what_is_missing_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(PIPELINE, [], root=tmp_path)
    assert "data.source: is required" in str(caught.value)
    with pytest.raises(ConfigError, match="encoder: model: no such directory. The input 'start' is a folder"):
        make_plan(PIPELINE, ["data.source.dataset=sst2"], root=tmp_path)
    with pytest.raises(ConfigError, match="nowhere"):
        source = ["data.source.format=jsonl", f"data.source.train={tmp_path}/rows.jsonl"]
        make_plan(PIPELINE, [*source, "model.inputs.start=nowhere"], root=tmp_path)
