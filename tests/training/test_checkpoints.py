"""A checkpoint is whole or not there, and a damaged one is never believed."""

import logging
from pathlib import Path

import pytest
import torch

from bertkit.errors import HostError
from bertkit.training import checkpoints


def save(out: Path, step: int, keep: int = 3) -> None:
    groups = {"model": {"w": torch.full((4,), float(step))}, "optimizer": {"w.exp_avg": torch.zeros(4)}}
    checkpoints.save(out, step, groups, {"position": [0, step]}, keep=keep)


def test_the_newest_is_loaded_by_step_not_by_name_or_time(tmp_path: Path) -> None:
    for step in (100, 9, 20):
        save(tmp_path, step)
    saved = checkpoints.load_newest(tmp_path)
    assert saved is not None
    assert saved.step == 100
    assert saved.groups["model"]["w"].tolist() == [100.0] * 4
    assert saved.state == {"position": [0, 100]}


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-3", "checkpoint-4"]


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(
    tmp_path: Path, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    path = tmp_path / "checkpoint-2" / file
    content = path.read_bytes()
    if damage == "flip":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "cut":
        path.write_bytes(content[:-10])
    else:
        path.unlink()
    with caplog.at_level(logging.WARNING):
        saved = checkpoints.load_newest(tmp_path)
    assert saved is not None
    assert saved.step == 1
    assert "checkpoint-2" in caplog.text
    assert (tmp_path / "checkpoint-2.damaged").is_dir()


def test_an_unfinished_write_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)

    def full_disk(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full_disk)
    with pytest.raises(HostError, match="No space left"):
        save(tmp_path, 2)
    saved = checkpoints.load_newest(tmp_path)
    assert saved is not None
    assert saved.step == 1


def test_nothing_saved_is_none(tmp_path: Path) -> None:
    assert checkpoints.load_newest(tmp_path) is None
