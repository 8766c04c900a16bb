"""An input that takes several results may name them by a pattern."""

from pathlib import Path

import pytest

from bertkit.errors import ConfigError
from bertkit.pipeline.graph import Plan, make_plan


def test_a_pattern_is_the_list_that_it_stands_for(pipeline: Path, tmp_path: Path) -> None:
    report = read_by_report(make_plan(pipeline, [], root=tmp_path))
    by_pattern = read_by_report(make_plan(with_report(pipeline, tmp_path, 'metrics: "*"'), [], root=tmp_path))
    assert (
        by_pattern["metrics"]
        == report["metrics"]
        == ["topic_eval@1", "topic_eval@2", "topic_random_eval@1", "topic_random_eval@2"]
    )


def test_a_pattern_takes_what_the_input_reads_and_no_more(pipeline: Path, tmp_path: Path) -> None:
    inputs = 'metrics: ["*_random_eval"], models: "topic*", corpus: "*", vectors: "*"'
    found = read_by_report(make_plan(with_report(pipeline, tmp_path, inputs), [], root=tmp_path))
    assert found["metrics"] == ["topic_random_eval@1", "topic_random_eval@2"]
    assert found["models"] == ["topic@1", "topic@2", "topic_random@1", "topic_random@2"]
    assert found["corpus"] == ["corpus"]
    assert "vectors" not in found


def test_a_pattern_of_nothing_is_a_mistake(pipeline: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"reads 'topik_\*', which is no stage of this pipeline"):
        make_plan(with_report(pipeline, tmp_path, 'metrics: "topik_*"'), [], root=tmp_path)


def with_report(pipeline: Path, tmp_path: Path, inputs: str) -> Path:
    before = pipeline.read_text().partition("  report:")[0]
    path = tmp_path / "by pattern.yaml"
    path.write_text(f"{before}  report: {{stage: report, inputs: {{{inputs}}}}}\n")
    return path


def read_by_report(plan: Plan) -> dict[str, list[str]]:
    (node,) = plan.select("report")
    return {port: [one.name for one in found] for port, found in node.inputs.items()}
