"""What the documents say exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from bertkit import stages
from bertkit.artifacts import ARTIFACTS
from bertkit.cli import app
from bertkit.config import Layer, build, parse_overrides, read_yaml
from bertkit.pipeline.graph import make_plan
from bertkit.pipeline.spec import find_home, read_pipeline

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CHINESE = (REPOSITORY / "docs" / "README.zh.md").read_text(encoding="utf-8")
# Fenced blocks, with lines that end in a backslash joined.
BLOCKS = [
    block.replace("\\\n", " ") for text in (README, CHINESE) for block in re.findall(r"```\n(.*?)```", text, re.DOTALL)
]
COMMANDS = [
    line
    for block in BLOCKS
    for line in block.splitlines()
    if re.match(r"(\w+=\w+ )*(bertkit|python|accelerate|make) ", line)
]
ENTRIES = read_pipeline(REPOSITORY / "pipelines" / "quickstart.yaml", Layer({})).entries
# The rows of the table of topics: the stage, and the switches in the last cell.
TOPICS = [
    (stage, switch)
    for stage, cell in re.findall(r"^\|[^|]*\|[^|]*\| `(\w+)` \|([^|]*)\|$", CHINESE, re.MULTILINE)
    for switch in re.findall(r"`([^`]*=[^`]*|--config \w+)`", cell)
]
OVERRIDE = re.compile(r"^([a-z_]+(?:\.[a-z_0-9]+)*)=")


def fields(config: Any, path: list[str]) -> bool:
    """Whether `path` leads to a field of a config, in any member where a field is a union."""
    from bertkit.config import _field_names

    return path[-1] in _field_names(config, tuple(path[:-1]))


def check_override(argument: str, stage_name: str | None, entries: Any = ENTRIES) -> None:
    found = OVERRIDE.match(argument)
    if not found:
        return
    path = found[1].split(".")
    if stage_name is None:
        assert path[0] in entries, argument
        stage_name, path = entries[path[0]].stage, path[1:]
        if path[0] in ("preset", "inputs", "seeds", "launch"):
            return
    assert fields(stages.load(stage_name).config, path), argument


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_what_exists(command: str) -> None:
    words = [word for word in shlex.split(command, comments=True) if word not in ("[STAGE.key.path=value", "...]")]
    while "=" in words[0]:
        words.pop(0)
    program, arguments = words[0], words[1:]
    stage_name = None
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        return
    if program == "bertkit":
        commands = get_command(app).commands  # type: ignore[attr-defined]
        assert arguments[0] in commands
        known = {option for parameter in commands[arguments[0]].params for option in parameter.opts}
        flags = {word.strip("[]") for word in arguments if word.strip("[").startswith("--")}
        assert flags <= known, flags - known
    else:
        (recipe,) = [word for word in arguments if word.startswith("recipes/")]
        assert (REPOSITORY / recipe).is_file()
        stage_name = Path(recipe).stem
        if "--config" in arguments:
            preset = arguments[arguments.index("--config") + 1]
            assert (REPOSITORY / "recipes" / "presets" / stage_name / f"{preset}.yaml").is_file()
    named = [word for word in arguments if word.startswith("pipelines/")]
    entries = read_pipeline(REPOSITORY / named[0], Layer({})).entries if named else ENTRIES
    for word in arguments:
        if not word.startswith("-") and word.partition("=")[0] not in (
            "corpus",
            "data",
            "tokenizer",
            "start",
            "model",
            "metrics",
        ):
            check_override(word, stage_name, entries)


def test_a_pipeline_in_the_readme_is_one(tmp_path: Path) -> None:
    (written,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    data, start = tmp_path / "data" / "sst2", tmp_path / "encoder"
    for folder in (data, start):
        folder.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        (data / f"{split}.tsv").write_text("sentence\tlabel\nfine\t1\n")
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (start / name).write_text('{"model_type": "bert"}')
    path = tmp_path / "mine.yaml"
    path.write_text(written.replace("./encoder", str(start)))
    plan = make_plan(path, [], root=tmp_path / "root", data_dir=tmp_path / "data")
    (report,) = plan.select("report")
    assert [len(report.inputs[port]) for port in ("metrics", "models", "task_data")] == [6, 6, 1]


def test_settings_named_in_the_text_exist() -> None:
    named = re.findall(r"`((?:corpus|tokenizer|pretrain|topic_data|topic_bert)\.[a-z_.0-9]+)(?:=[^`]*)?`", README)
    named = [name for name in named if not name.endswith(".json")]  # files, not settings
    assert len(named) >= 5
    for name in named:
        check_override(f"{name}=", None)


@pytest.mark.parametrize(("stage", "switch"), TOPICS)
def test_a_switch_of_the_topics_makes_a_config(stage: str, switch: str) -> None:
    presets = REPOSITORY / "recipes" / "presets" / stage
    if switch.startswith("--config "):
        layer = read_yaml(presets / f"{switch.split()[1]}.yaml")
    else:
        layer = parse_overrides(switch.split())
    build(stages.load(stage).config, layer, name=stage)


def test_the_table_of_topics_covers_the_notes() -> None:
    sections = set(re.findall(r"^\| (\d\.\d(?:\.\d)*)", CHINESE, re.MULTILINE))
    assert sections >= {"3.1.1", "3.1.3.1", "3.1.3.2", "3.2.3", "3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5", "3.3.6"}
    assert sections >= {"3.4.1", "3.4.3", "4.1", "4.1.3", "4.2", "4.5", "5.1", "5.2.1", "5.2", "5.2.2"}
    assert len(TOPICS) >= 60


def test_the_table_of_stages_is_complete() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| `(\w+)`", README, re.MULTILINE)
    table = {name: artifact for name, _, artifact in rows if name in stages.NAMES}
    assert table == {name: stages.load(name).output.__name__ for name in stages.NAMES}
    assert set(table.values()) <= set(ARTIFACTS)


def test_files_that_are_linked_exist() -> None:
    for folder, text in ((REPOSITORY, README), (REPOSITORY / "docs", CHINESE)):
        linked = re.findall(r"\]\(((?!http)[^)#]+)\)", text)
        assert linked
        for name in linked:
            assert (folder / name).is_file(), name


def test_no_placeholder_is_left() -> None:
    for name in ("README.md", "docs/README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        assert "@@" not in (REPOSITORY / name).read_text(encoding="utf-8")


def test_the_repository_is_found_from_a_pipeline() -> None:
    assert find_home(REPOSITORY / "pipelines") == REPOSITORY
