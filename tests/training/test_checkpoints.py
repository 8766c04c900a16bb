"""A checkpoint is whole or not there, and a damaged one is never believed."""

import logging
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from bertkit import storage
from bertkit.artifacts import SPARE
from bertkit.errors import HostError, StageError
from bertkit.training import checkpoints

RUN = {"seed": 1, "data": "0123456789"}


def save(out: Path, step: int, keep: int = 3) -> None:
    groups = {"model": {"w": torch.full((4,), float(step))}, "optimizer": {"w.exp_avg": torch.zeros(4)}}
    checkpoints.save(out, step, groups, {"position": [0, step]}, keep=keep, identity=RUN)


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def damage_file(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_newest_is_loaded_by_step_not_by_name_or_time(tmp_path: Path) -> None:
    for step in (100, 9, 20):
        save(tmp_path, step)
    saved = checkpoints.load_newest(tmp_path, RUN)
    assert saved is not None
    assert saved.step == 100
    assert saved.groups["model"]["w"].tolist() == [100.0] * 4
    assert saved.state == {"position": [0, 100]}


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step, keep=2)
    assert names(tmp_path) == ["checkpoint-3", "checkpoint-4"]


def test_a_damaged_one_does_not_count_as_kept(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    damage_file(tmp_path / "checkpoint-2" / "model.safetensors")
    save(tmp_path, 3, keep=2)
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-2.damaged", "checkpoint-3"]


def test_the_last_whole_one_stays_when_the_disk_damages_the_newest_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, keep=1)
    sync = storage.sync_directory

    def damaging_sync(path: Path) -> None:
        sync(path)
        if (written := tmp_path / "checkpoint-2" / "optimizer.safetensors").exists():
            damage_file(written)

    monkeypatch.setattr(storage, "sync_directory", damaging_sync)
    save(tmp_path, 2, keep=1)
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-2.damaged"]
    saved = checkpoints.load_newest(tmp_path, RUN)
    assert saved is not None
    assert saved.step == 1


def test_a_step_that_is_saved_is_not_written_again(tmp_path: Path) -> None:
    save(tmp_path, 1)
    before = (tmp_path / "checkpoint-1" / "checkpoint.json").stat().st_ino
    save(tmp_path, 1)
    assert (tmp_path / "checkpoint-1" / "checkpoint.json").stat().st_ino == before


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(StageError, match="its data is '0123456789', here it is '9876543210'"):
        checkpoints.load_newest(tmp_path, RUN | {"data": "9876543210"})
    with pytest.raises(StageError, match="its seed is 1, here it is None"):
        checkpoints.load_newest(tmp_path, {"data": "0123456789"})


def test_a_run_killed_while_it_finishes_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    checkpoints.put_by(tmp_path)
    assert names(tmp_path) == [SPARE]
    saved = checkpoints.load_newest(tmp_path, RUN)
    assert saved is not None
    assert saved.step == 2
    checkpoints.put_by(tmp_path)
    assert names(tmp_path / SPARE) == ["checkpoint-2"]


def test_what_a_killed_save_left_is_deleted(tmp_path: Path) -> None:
    save(tmp_path, 1)
    for name in (".checkpoint-2.tmp", ".checkpoint-0.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"half")
    assert checkpoints.load_newest(tmp_path, RUN, tidy=False) is not None
    assert len(names(tmp_path)) == 3
    assert checkpoints.load_newest(tmp_path, RUN) is not None
    assert names(tmp_path) == ["checkpoint-1"]


def test_empty_groups_are_saved(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, 1, {"best": {}}, {}, keep=1, identity=RUN)
    saved = checkpoints.load_newest(tmp_path, RUN)
    assert saved is not None
    assert saved.groups == {"best": {}}


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
        saved = checkpoints.load_newest(tmp_path, RUN)
    assert saved is not None
    assert saved.step == 1
    assert "checkpoint-2" in caplog.text
    assert (tmp_path / "checkpoint-2.damaged").is_dir()


@pytest.mark.parametrize("operation", ["tensors", "fsync", "replace"])
def test_a_full_disk_is_said_leaves_the_older_one_and_takes_no_space(
    tmp_path: Path, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)

    def full_disk(*args: object) -> None:
        if operation == "tensors":  # as safetensors says it
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        raise OSError(28, "No space left on device")

    place, name = {"tensors": (checkpoints, "save_file"), "fsync": (os, "fsync"), "replace": (os, "replace")}[operation]
    with monkeypatch.context() as patched:
        patched.setattr(place, name, full_disk)
        with pytest.raises(HostError, match="No space left") as caught:
            save(tmp_path, 2)
    assert caught.value.exit_code == 3
    assert "Free some space" in str(caught.value)
    assert names(tmp_path) == ["checkpoint-1"]
    save(tmp_path, 2)
    saved = checkpoints.load_newest(tmp_path, RUN)
    assert saved is not None
    assert saved.step == 2


def test_nothing_saved_is_none(tmp_path: Path) -> None:
    assert checkpoints.load_newest(tmp_path, RUN) is None
