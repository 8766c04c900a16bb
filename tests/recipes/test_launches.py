"""The launch configs are accelerate's, and each model size costs what its header says."""

import re
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from transformers import BertConfig, BertForPreTraining

from bertkit.config import build, read_yaml
from bertkit.models.flops import training_flops
from bertkit.stages import load

REPOSITORY = Path(__file__).parents[2]
VARIANTS = sorted((REPOSITORY / "recipes" / "accelerate").glob("*.yaml"))
CONFIGS = [REPOSITORY / "accelerate_config.yaml", *VARIANTS]

# As published by Google: layers, width.
SIZES = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}


def test_there_are_as_many_variants_as_we_think() -> None:
    assert [path.stem for path in VARIANTS] == ["fsdp", "one_node_gpus", "several_nodes", "two_cpu_processes"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_accelerates_own_parser_reads_every_launch_config(path: Path) -> None:
    config = load_config_from_file(str(path))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#")
    assert config.num_processes >= config.num_machines
    if path in VARIANTS:
        assert f"--config_file recipes/accelerate/{path.name}" in text, "the header has the command"


def test_a_several_nodes_launch_is_what_its_header_says() -> None:
    path = REPOSITORY / "recipes" / "accelerate" / "several_nodes.yaml"
    command = [
        "--config_file",
        str(path),
        "--machine_rank",
        "1",
        "--main_process_ip",
        "10.0.0.1",
        "recipes/pretrain.py",
    ]
    arguments: Namespace = launch_command_parser().parse_args(command)
    arguments, config, _ = _validate_launch_command(arguments)
    assert config.num_machines == 2
    assert (arguments.multi_gpu, arguments.num_processes, arguments.machine_rank) == (True, 16, 1)
    assert arguments.main_process_ip == "10.0.0.1"


def test_an_fsdp_launch_asks_for_version_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    command = ["--config_file", str(REPOSITORY / "recipes" / "accelerate" / "fsdp.yaml"), "recipes/pretrain.py"]
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(command))
    environment = prepare_multi_gpu_env(arguments)
    assert (environment["ACCELERATE_USE_FSDP"], environment["FSDP_VERSION"]) == ("true", "2")


@pytest.mark.parametrize("name", SIZES)
def test_a_size_is_googles_and_its_header_says_what_it_costs(name: str) -> None:
    path = REPOSITORY / "recipes" / "presets" / "pretrain" / f"{name}.yaml"
    model = build(load("pretrain").config, read_yaml(path)).model
    layers, width = SIZES[name]
    assert (model.num_hidden_layers, model.hidden_size) == (layers, width)
    assert (model.num_attention_heads, model.intermediate_size) == (width // 64, 4 * width)

    header = " ".join(re.findall(r"^# ?(.*)", path.read_text(encoding="utf-8"), re.MULTILINE))
    config = BertConfig(**model.model_dump(), vocab_size=30522)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in BertForPreTraining(config).parameters())
    assert f"{parameters:,} parameters" in header
    assert f"{16 * parameters / 1e6:.0f} MB" in header
    for length in (128, 512):
        masked = round(0.15 * (length - 3))
        arrays = {
            "input_ids": np.zeros((1, length)),
            "masked_labels": np.zeros(masked),
            "picked": np.zeros((1, 1 + masked)),
        }
        assert f"{training_flops(config, arrays) / length / 1e6:.1f}" in header
