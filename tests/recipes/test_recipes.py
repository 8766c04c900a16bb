"""Every recipe is a stage, every preset is a config of it, and a stage runs alone as in a pipeline."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bertkit import artifacts, stages
from bertkit.config import Layer, build, check, parse_overrides, read_yaml
from bertkit.pipeline.runner import as_overrides

REPOSITORY = Path(__file__).parents[2]
RECIPES = sorted((REPOSITORY / "recipes").glob("*.py"))
PRESETS = sorted((REPOSITORY / "recipes" / "presets").rglob("*.yaml"))
PIPELINES = sorted((REPOSITORY / "pipelines").glob("*.yaml"))

# What a preset leaves to the user, with something to stand for it.
LEFT_OPEN: dict[str, Any] = {"files": "a.txt", "path": "name", "train": "a.csv"}


def test_ls_recipes_is_the_list_of_stages() -> None:
    assert {path.stem for path in RECIPES} == set(stages.NAMES)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_is_a_docstring_and_one_call(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert f"recipes/{path.stem}.py" in (ast.get_docstring(tree) or "")
    assert f"run_recipe({path.stem})" in ast.unparse(tree)


@pytest.mark.parametrize("path", PRESETS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_preset_is_a_config_of_its_stage(path: Path) -> None:
    config = stages.load(path.parent.name).config
    layer = read_yaml(path)
    _, mistakes = check(config, layer)
    if mistakes and "source" in layer.data:
        filled = {**layer.data, "source": {**LEFT_OPEN, **layer.data["source"]}}
        allowed = {
            key for key in LEFT_OPEN if any(f"source.{key}" in m or f".{key}: is required" in m for m in mistakes)
        }
        filled["source"] = {**layer.data["source"], **{key: LEFT_OPEN[key] for key in allowed}}
        _, mistakes = check(config, Layer(filled))
    assert not mistakes
    assert path.read_text(encoding="utf-8").startswith("#"), "a preset says first what it is for"


# Options that may be said only beside the one that reads them.
OPTIONS = [
    "model.backbone=textcnn",
    "model.backbone=rnn model.rnn.cell=gru",
    "adversarial.method=fgm",
    "loss.type=focal loss.gamma=1",
    "augmentation.swap=0.1",
]


@pytest.mark.parametrize("said", [*OPTIONS, *(path for path in PRESETS if path.parent.name == "finetune")], ids=str)
def test_a_launched_stage_has_the_config_of_the_pipeline(said: str | Path) -> None:
    finetune = stages.load("finetune").config
    config = build(finetune, read_yaml(said) if isinstance(said, Path) else parse_overrides(said.split()))
    assert build(finetune, parse_overrides(as_overrides(config))) == config
    seeded = config.model_copy(update={"seed": 7})
    assert build(finetune, parse_overrides(as_overrides(seeded))) == seeded


def test_there_are_as_many_presets_and_pipelines_as_we_think() -> None:
    assert len(PRESETS) >= 20
    names = {"chinese", "compare_en", "compare_zh", "finetune", "quickstart", "quickstart_zh", "wiki"}
    assert {path.stem for path in PIPELINES} == names


@pytest.mark.parametrize("name", stages.NAMES)
def test_every_config_field_says_what_it_is(name: str) -> None:
    def walk(config: Any) -> None:
        for field_name, info in config.model_fields.items():
            assert info.description, f"{config.__name__}.{field_name}"
            annotation = info.annotation
            if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
                walk(annotation)

    walk(stages.load(name).config)


def recipe(name: str, *arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, f"recipes/{name}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        timeout=280,
    )


SMALL = [
    "model.num_hidden_layers=1", "model.hidden_size=32", "model.intermediate_size=64", "model.initializer_range=0.1", "max_seq_length=48",
    "train_batch_size=8", "micro_batch_size=4", "max_steps=12", "eval_steps=6", "logging_steps=2", "learning_rate=5e-3",
]  # fmt: skip


def test_a_recipe_alone_gives_the_bytes_of_the_pipeline(whole_run: Path, tmp_path: Path) -> None:
    made = whole_run / "latest" / "small"
    done = recipe(
        "pretrain", "--input", f"data={made / 'pretrain_data'}", "--input", f"tokenizer={made / 'tokenizer'}",
        "--out", tmp_path / "out", *SMALL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert artifacts.Checkpoint.open(tmp_path / "out").fingerprint == (made / "pretrain").resolve().name
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (
        made / "pretrain" / "model.safetensors"
    ).read_bytes()
    again = recipe(
        "pretrain", "--input", f"data={made / 'pretrain_data'}", "--input", f"tokenizer={made / 'tokenizer'}",
        "--out", tmp_path / "out", *SMALL, "seed=1",
    )  # fmt: skip
    assert again.returncode == 2
    assert "config.seed: 42 -> 1" in again.stderr


def test_a_launch_that_became_one_process_says_so(whole_run: Path, tmp_path: Path) -> None:
    made = whole_run / "latest" / "small"
    done = recipe(
        "pretrain_data", "--input", f"corpus={made / 'corpus'}", "--input", f"tokenizer={made / 'tokenizer'}",
        "--out", tmp_path / "out", MASTER_ADDR="127.0.0.1", MASTER_PORT="29500",
    )  # fmt: skip
    assert done.returncode == 0
    assert "asked for several processes but started one" in done.stderr


def test_accelerate_really_leaves_that_trace() -> None:
    code = "import os; print(os.environ.get('MASTER_PORT'), os.environ.get('RANK'), os.environ.get('WORLD_SIZE'))"
    path = REPOSITORY / "recipes" / "report.py"
    assert path.is_file()
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--no_python",
         sys.executable, "-c", code],
        capture_output=True, text=True,
    )  # fmt: skip
    port, rank, world = done.stdout.split()
    assert port.isdigit()
    assert (rank, world) == ("None", "None")


def test_a_launched_stage_with_trackers_is_whole_and_its_errors_come_back(
    pipeline: Path, whole_run: Path, tmp_path: Path, bertkit: Any
) -> None:
    import shutil

    root = tmp_path / "root"
    for stage in ("corpus", "tokenizer", "pretrain_data"):
        shutil.copytree(whole_run / stage, root / stage)
    copy = tmp_path / "pipeline.yaml"
    copy.write_text(pipeline.read_text())
    launched = ["run", copy, "--root", root, "--only", "pretrain", "pretrain.launch=accelerate"]
    failed = bertkit(*launched, "pretrain.device=cuda")
    assert failed.returncode == 3
    assert "device is cuda, but torch finds no GPU" in failed.stderr.splitlines()[-2]
    assert "Traceback" not in failed.stderr
    done = bertkit(*launched, "pretrain.report_to=[wandb, tensorboard]")
    assert done.returncode == 0, done.stderr
    out = root / "latest" / "pipeline" / "pretrain"
    assert list(out.glob("runs/wandb/offline-run-*"))
    assert list(out.glob("runs/**/events.out.tfevents.*"))
    assert bertkit("verify", out).returncode == 0
    made = whole_run / "latest" / "small" / "pretrain"
    assert (out / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()
