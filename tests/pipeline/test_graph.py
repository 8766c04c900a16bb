"""A pipeline is checked as a whole before anything runs, and an edit reruns exactly what depends on it."""

from pathlib import Path

import pytest

from bertkit.config import Layer
from bertkit.errors import ConfigError
from bertkit.pipeline import spec
from bertkit.pipeline.graph import Plan, make_plan
from bertkit.pipeline.spec import preset_layer, read_pipeline


@pytest.fixture
def plan(pipeline: Path, tmp_path: Path) -> Plan:
    return make_plan(pipeline, [], root=tmp_path)


def changed(pipeline: Path, root: Path, override: str) -> set[str]:
    """Entries whose fingerprint an override changes."""
    before = {node.name: node.fingerprint for node in make_plan(pipeline, [], root=root).nodes}
    after = {node.name: node.fingerprint for node in make_plan(pipeline, [override], root=root).nodes}
    return {name.partition("@")[0] for name in before if before[name] != after[name]}


def test_every_node_comes_after_what_it_reads(plan: Plan) -> None:
    seen: set[str] = set()
    for node in plan.nodes:
        reads = {one.name for given in node.inputs.values() for one in given if hasattr(one, "name")}
        assert reads <= seen
        seen.add(node.name)
    assert plan.nodes[-1].name == "report"


def test_seeds_fan_out_and_carry_over_to_what_reads_them(plan: Plan) -> None:
    names = [node.name for node in plan.nodes]
    assert {"topic@1", "topic@2", "topic_eval@1", "topic_eval@2"} <= set(names)
    (report,) = plan.select("report")
    assert [one.name for one in report.inputs["metrics"]] == [
        "topic_eval@1",
        "topic_eval@2",
        "topic_random_eval@1",
        "topic_random_eval@2",
    ]
    assert [node.config.seed for node in plan.select("topic")] == [1, 2]
    assert [one.name for one in plan.select("topic_eval@2")[0].inputs["model"]] == ["topic@2"]


PUBLISH = "  publish: {{stage: publish, inputs: {{model: {model}, metrics: [{scores}]}}, config: {{repo: me/it}}}}\n"


def with_publish(pipeline: Path, tmp_path: Path, model: str, scores: str) -> Path:
    path = tmp_path / "published.yaml"
    path.write_text(pipeline.read_text() + PUBLISH.format(model=model, scores=scores))
    return path


def test_one_of_several_results_is_published_by_its_name(pipeline: Path, tmp_path: Path) -> None:
    path = with_publish(pipeline, tmp_path, "topic@2", "topic_eval@2")
    (publish,) = make_plan(path, [], root=tmp_path).select("publish")
    assert publish.name == "publish"
    assert [one.name for given in publish.inputs.values() for one in given] == ["topic@2", "topic_eval@2"]
    with pytest.raises(ConfigError, match=r"no result 'topic@3', did you mean 'topic@"):
        make_plan(with_publish(pipeline, tmp_path, "topic@3", "topic_eval"), [], root=tmp_path)


def test_results_that_would_take_each_others_place_are_not_published(pipeline: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"would be done 2 times.*Name one of them, such as topic@1"):
        make_plan(with_publish(pipeline, tmp_path, "topic", "topic_eval"), [], root=tmp_path)


ALL_AFTER_PRETRAIN = {"topic", "topic_random", "topic_eval", "topic_random_eval", "report"}


@pytest.mark.parametrize(
    ("override", "reruns"),
    [
        ("corpus.min_sentences=2", {"corpus", "tokenizer", "pretrain_data", "pretrain"} | ALL_AFTER_PRETRAIN),
        ("tokenizer.vocab_size=151", {"tokenizer", "pretrain_data", "pretrain"} | ALL_AFTER_PRETRAIN),
        ("pretrain.max_steps=13", {"pretrain"} | ALL_AFTER_PRETRAIN),
        ("topic_data.validation_percentage=20", {"topic_data"} | ALL_AFTER_PRETRAIN),
        ("topic.learning_rate=1e-3", {"topic", "topic_eval", "report"}),
        ("topic_random_eval.bootstrap_samples=500", {"topic_random_eval", "report"}),
        ("report.title=Other", {"report"}),
        ("pretrain.save_steps=3", set()),
        ("corpus.num_workers=2", set()),
        ("topic.micro_batch_size=2", set()),
    ],
)
def test_one_value_reruns_exactly_what_depends_on_it(
    pipeline: Path, tmp_path: Path, override: str, reruns: set[str]
) -> None:
    assert changed(pipeline, tmp_path, override) == reruns


def test_changed_text_reruns_what_reads_it(pipeline: Path, made_up: Path, tmp_path: Path) -> None:
    other = tmp_path / "corpus.txt"
    other.write_bytes((made_up / "corpus.txt").read_bytes())
    files = f"corpus.source.files={other}"
    assert changed(pipeline, tmp_path / "root", files) == set()
    other.write_text(other.read_text() + "\nOne more. And another.\n")
    assert "corpus" in changed(pipeline, tmp_path / "root", files)


def test_every_mistake_is_in_one_message(tmp_path: Path, made_up: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        f"""stages:
  corpus: {{stage: corpus, config: {{source: {{format: text, files: "{made_up}/nothing-*.txt"}}}}}}
  tokenizer: {{stage: tokeniser, inputs: {{corpus: corpus}}}}
  data: {{stage: pretrain_data, inputs: {{korpus: corpus, tokenizer: tokenizer}}}}
  pretrain: {{stage: pretrain, preset: tinny, inputs: {{data: corpus, tokenizer: tokenizer}}}}
  topic_data: {{stage: task_data, config: {{source: {{dataset: sst3}}}}}}
  topic: {{stage: finetune, inputs: {{data: topic_data, start: nowhere}}, config: {{learning_rte: 1e-3}}}}
  a: {{stage: evaluate, inputs: {{model: topic, data: topic_data}}, seeds: [1]}}
"""
    )
    with pytest.raises(ConfigError) as caught:
        make_plan(path, [], root=tmp_path / "root")
    message = str(caught.value)
    for part in (
        "nothing-*.txt",
        f"{path}:3: tokenizer: there is no stage 'tokeniser', did you mean 'tokenizer'?",
        f"{path}:4: data: pretrain_data has no input 'korpus', did you mean 'corpus'?",
        "data: needs the input 'corpus'",
        "pretrain has no preset 'tinny', did you mean 'tiny'?",
        "the input 'data' must be a PretrainData, corpus makes a Corpus",
        "sst3",
        "reads 'nowhere', which is no stage of this pipeline",
        f"{path}:7: topic.learning_rte: no such key, did you mean 'learning_rate'?",
        "evaluate has no seed to vary",
    ):
        assert part in message, part
    assert not (tmp_path / "root").exists()


def test_cycles_are_named(tmp_path: Path) -> None:
    path = tmp_path / "circle.yaml"
    path.write_text(
        "stages:\n  a: {stage: tokenizer, inputs: {corpus: b}}\n  b: {stage: tokenizer, inputs: {corpus: a}}\n"
    )
    with pytest.raises(ConfigError, match="reads itself: a -> b -> a"):
        make_plan(path, [], root=tmp_path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pretran.max_steps=3", "no stage 'pretran', did you mean 'pretrain'"),
        ("pretrain.max_step=3", "pretrain.max_step: no such key, did you mean 'max_steps'"),
        ("pretrain.max_steps=many", "got 'many'"),
        ("pretrain=3", "an override names a key of the stage"),
        ("nonsense", "is not an override"),
    ],
)
def test_wrong_overrides_are_explained(pipeline: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(pipeline, [override], root=tmp_path)


def test_a_finished_folder_can_stand_for_a_stage(pipeline: Path, whole_run: Path, tmp_path: Path) -> None:
    start = whole_run / "latest" / "small" / "pretrain"
    text = pipeline.read_text().replace("start: pretrain}, seeds: [1, 2], config:", f'start: "{start}"}}, config:', 1)
    path = tmp_path / "from folder.yaml"
    path.write_text(text)
    plan = make_plan(path, [], root=whole_run)
    (topic,) = plan.select("topic")
    assert topic.identity["inputs"]["start"] == start.resolve().name


def test_inputs_that_do_not_go_with_the_config_are_found_before_anything_runs(pipeline: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="topic: textcnn starts from random weights, and `start` is given"):
        make_plan(pipeline, ["topic.model.backbone=textcnn"], root=tmp_path)


def test_presets_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()  # somebody else's
    path = tmp_path / "mine.yaml"
    path.write_text("stages:\n  data: {stage: task_data, preset: sst2}\n")
    pipeline = read_pipeline(path, Layer({}))
    assert preset_layer(pipeline.home, "task_data", "sst2").data["source"] == {"dataset": "sst2"}

    monkeypatch.setattr(spec, "_CHECKOUT", tmp_path)
    with pytest.raises(ConfigError, match=r"no preset 'sst2': there are none in .*repository"):
        preset_layer(read_pipeline(path, Layer({})).home, "task_data", "sst2")
