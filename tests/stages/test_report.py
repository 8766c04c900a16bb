"""The stage report: scores in, one page out."""

import json

import pytest

from bertkit import artifacts, storage
from bertkit.config import build, parse_overrides
from bertkit.errors import ConfigError, StageError
from bertkit.stages.report import ReportConfig, report

ROWS = [("a", "x", "x", 0.9), ("b", "y", "x", 0.8), ("c", "y", "y", 0.7)]


@pytest.fixture
def metrics(tmp_path):
    from bertkit.evaluation.classification import score, score_intervals

    path = tmp_path / "metrics"
    path.mkdir()
    rows = [
        {
            "id": id,
            "gold": gold,
            "predicted": guess,
            "scores": {"x": p, "y": 1 - p} if guess == "x" else {"x": 1 - p, "y": p},
        }
        for id, gold, guess, p in ROWS
    ]
    scores = score(rows, ["x", "y"]) | {"intervals": score_intervals(rows, ["x", "y"], count=100)}
    about = {
        "task": "letters",
        "kind": "classification",
        "model": "BERT",
        "split": "test",
        "primary": "accuracy",
        "seed": 1,
    }
    storage.write_json(path / "metrics.json", about | scores)
    storage.write_json_lines(path / "predictions.jsonl", iter(rows))
    artifacts.finish(artifacts.Metrics(path), {"stage": "evaluate", "fingerprint": "0123456789", "seconds": 1.0})
    return artifacts.Metrics(path)


def config(*overrides):
    return build(ReportConfig, parse_overrides(overrides), name="report")


def run(metrics, out, *overrides):
    chosen = config(*overrides)
    identity = report.identity(chosen, {"metrics": [one.fingerprint for one in metrics]}, storage.Digests())
    return report.run(chosen, {"metrics": metrics}, out, identity)


def test_three_forms_of_the_same_report(metrics, tmp_path):
    made = run((metrics,), tmp_path / "out", "title=Letters")
    found = json.loads((made.path / "report.json").read_text(encoding="utf-8"))
    html, markdown = ((made.path / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert found["tasks"][0]["systems"][0]["metrics"]["accuracy"]["mean"] == pytest.approx(2 / 3)
    for text in (html, markdown):
        assert "Letters" in text
        assert "66.7" in text
    assert html.startswith("<!doctype html>")
    assert artifacts.verify(made.path) == 3


def test_the_same_inputs_give_the_same_bytes(metrics, tmp_path):
    first, second = run((metrics,), tmp_path / "a"), run((metrics,), tmp_path / "b")
    for name in artifacts.Report.files:
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()


def test_examples_can_be_left_out(metrics, tmp_path):
    found = run((metrics,), tmp_path / "out", "examples=0").read_json("report.json")
    assert found["tasks"][0]["mistakes"]["shown"] == []
    assert found["tasks"][0]["mistakes"]["in_all"] == 1
    assert found["tasks"][0]["mistakes"]["texts_missing"] is None


def test_a_report_needs_scores(tmp_path):
    with pytest.raises(StageError, match="needs the input 'metrics'"):
        run((), tmp_path / "out")


def test_mistakes_in_the_config_are_named():
    with pytest.raises(ConfigError, match="did you mean 'examples'"):
        config("example=3")
