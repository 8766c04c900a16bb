"""Training checkpoints: `checkpoint-STEP/` with safetensors and JSON, verified before they are believed.

The state of a run is a position, not a stream: data, dropout and learning rate are functions of the step, so weights,
optimizer state, three integers and the steps not yet logged are all there is to save. A checkpoint knows whose it is
(`identity`: seed, batch size, fingerprints of config and data) and serves no other run.
"""

import errno
import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertkit import storage
from bertkit.artifacts import SPARE
from bertkit.config import fingerprint
from bertkit.errors import StageError
from bertkit.training import sharding

log = logging.getLogger(__name__)

Tensors = dict[str, Tensor]
Identity = dict[str, Any]
_MANIFEST = "checkpoint.json"


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that was read back: `groups` of tensors and the JSON `state`."""

    step: int
    groups: dict[str, Tensors]
    state: dict[str, Any]


def save(
    out: Path, step: int, groups: dict[str, Tensors], state: dict[str, Any], *, keep: int, identity: Identity
) -> None:
    """Write `checkpoint-STEP`, whole or not at all, then delete all but the newest `keep` that are as written.

    Raises:
        HostError: the disk is full or refuses; the older checkpoints are as they were.
    """
    path = out / f"checkpoint-{step}"
    if path.exists() and _damage(path) is None:
        return  # a step has one state; writing it again could only lose it
    with storage.atomic_directory(path) as folder:
        for name, tensors in groups.items():
            _write(tensors, folder / f"{name}.safetensors")
        digests = {f"{name}.safetensors": storage.sha256(folder / f"{name}.safetensors") for name in groups}
        content = {"step": step, "state": state, "identity": identity, "files": digests}
        # The position is in this file: it needs a digest as much as the tensors do.
        storage.write_json(folder / _MANIFEST, {**content, "digest": fingerprint(content)})
    _keep(out, keep)


def load_newest(out: Path, identity: Identity, *, tidy: bool = True) -> Saved | None:
    """The newest checkpoint of `out` whose bytes are those written.

    Args:
        tidy: set damaged ones aside, by name, and delete what a killed save left; one process does that for all.

    Raises:
        StageError: it was written by a run with another `identity`.
    """
    if tidy:
        for path in out.glob(".checkpoint-*"):
            storage.remove_tree(path)
    for path in _all(out):
        problem = _damage(path)
        if problem is not None:
            if tidy:
                _set_aside(path, problem)
            continue
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        _check_identity(path, manifest["identity"], identity)
        # Cloned: what `load_file` gives is mapped from a file that will be deleted.
        groups = {
            Path(name).stem: {key: tensor.clone() for key, tensor in load_file(path / name).items()}
            for name in manifest["files"]
        }
        return Saved(manifest["step"], groups, manifest["state"])
    return None


def put_by(out: Path) -> None:
    """Keep the newest checkpoint of a run that is over, out of sight until the manifest is written; delete the others.

    A run killed while it finishes goes on from it.
    """
    for path in out.glob("checkpoint-*.damaged"):
        storage.remove_tree(path)
    found = _all(out)
    for path in found[1:]:
        _delete(path)
    if found and found[0].parent == out:
        storage.make_directory(out / SPARE)
        storage.rename(found[0], out / SPARE / found[0].name)


def _write(tensors: Tensors, path: Path) -> None:
    try:
        save_file({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}, path)
    except SafetensorError as e:
        # The library hides the system's error in its text.
        found = re.search(r"os error (\d+)", str(e))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from e


def _keep(out: Path, count: int) -> None:
    """Delete all but the newest `count` whole checkpoints. One that is damaged does not count: it is set aside."""
    for path in _all(out):
        if count == 0:
            _delete(path)
        elif (problem := _damage(path)) is not None:
            _set_aside(path, problem)
        else:
            count -= 1


def _delete(path: Path) -> None:
    # Under another name first: half deleted it would look damaged.
    hidden = path.with_name(f".{path.name}.old")
    storage.rename(path, hidden)
    storage.remove_tree(hidden)


def _set_aside(path: Path, problem: str) -> None:
    log.warning("%s is damaged (%s): set aside as %s.damaged", path, problem, path.name)
    storage.rename(path, path.with_name(f"{path.name}.damaged"))


def _check_identity(path: Path, written: Identity, wanted: Identity) -> None:
    if other := [key for key in sorted(written.keys() | wanted.keys()) if written.get(key) != wanted.get(key)]:
        raise StageError(
            "was written by another run: "
            + "; ".join(f"its {key} is {written.get(key)!r}, here it is {wanted.get(key)!r}" for key in other),
            where=str(path),
            remedy="Delete it to start anew, or run with the config and data it was written with.",
        )


def _all(out: Path) -> list[Path]:
    """Checkpoints by step, newest first."""
    found = [path for folder in (out, out / SPARE) for path in folder.glob("checkpoint-*")]
    numbered = [path for path in found if path.name.removeprefix("checkpoint-").isdigit()]
    return sorted(numbered, key=lambda path: -int(path.name.removeprefix("checkpoint-")))


def _damage(path: Path) -> str | None:
    try:
        content = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        written = content.pop("digest")
    except (OSError, ValueError, KeyError, AttributeError) as e:
        return f"{_MANIFEST}: {e}"
    if fingerprint(content) != written:
        return f"{_MANIFEST} is not what was written"
    for name, digest in content["files"].items():
        if not os.path.isfile(path / name):
            return f"{name} is missing"
        if storage.sha256(path / name) != digest:
            return f"{name} is not what was written"
    return None


def parameters(model: nn.Module) -> Tensors:
    """A model's parameters by name, tied ones once."""
    return dict(model.named_parameters())


def load_parameters(model: nn.Module, tensors: Tensors) -> None:
    """Put back what `parameters` gave."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(sharding.like(tensors[name], parameter))


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> Tensors:
    """The optimizer's state as `parameter.key` tensors."""
    names = _names_in_order(optimizer, model)
    return {
        f"{names[index]}.{key}": torch.as_tensor(value)
        for index, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Tensors) -> None:
    """Put back what `optimizer_tensors` gave."""
    names = _names_in_order(optimizer, model)
    parameter_of = dict(model.named_parameters())
    state: dict[int, dict[str, Tensor]] = {}
    index_of = {name: index for index, name in enumerate(names)}
    for full, value in tensors.items():
        name, _, key = full.rpartition(".")
        parameter = parameter_of[name]
        # Counters of steps are no part of the division.
        value = sharding.like(value, parameter) if value.shape == parameter.shape else value
        state.setdefault(index_of[name], {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _names_in_order(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[str]:
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    return [name_of[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
