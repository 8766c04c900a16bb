"""Training checkpoints: `checkpoint-STEP/` with safetensors and JSON, verified before they are believed.

The state of a run is a position, not a stream: data, dropout and learning rate are functions of the step, so weights,
optimizer state and two integers are all there is to save.
"""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertkit import storage
from bertkit.config import fingerprint

log = logging.getLogger(__name__)

Tensors = dict[str, Tensor]
_MANIFEST = "checkpoint.json"


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that was read back: `groups` of tensors and the JSON `state`."""

    step: int
    groups: dict[str, Tensors]
    state: dict[str, Any]


def save(out: Path, step: int, groups: dict[str, Tensors], state: dict[str, Any], *, keep: int) -> None:
    """Write `checkpoint-STEP`, whole or not at all, then delete all but the newest `keep`."""
    path = out / f"checkpoint-{step}"
    with storage.atomic_directory(path) as folder:
        for name, tensors in groups.items():
            contiguous = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
            save_file(contiguous, folder / f"{name}.safetensors")
        digests = {f"{name}.safetensors": storage.sha256(folder / f"{name}.safetensors") for name in groups}
        content = {"step": step, "state": state, "files": digests}
        # The position is in this file: it needs a digest as much as the tensors do.
        storage.write_json(folder / _MANIFEST, {**content, "digest": fingerprint(content)})
    if _damage(path) is None:
        for old in _all(out)[keep:]:
            storage.remove_tree(old)


def load_newest(out: Path) -> Saved | None:
    """The newest checkpoint of `out` whose bytes are those written; damaged ones are set aside and named."""
    for path in _all(out):
        problem = _damage(path)
        if problem is not None:
            log.warning("%s is damaged (%s): set aside as %s.damaged", path, problem, path.name)
            storage.rename(path, path.with_name(f"{path.name}.damaged"))
            continue
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        groups = {Path(name).stem: load_file(path / name) for name in manifest["files"]}
        return Saved(manifest["step"], groups, manifest["state"])
    return None


def remove_all(out: Path) -> None:
    """Delete every checkpoint of a run that is over, damaged ones included."""
    for path in out.glob("checkpoint-*"):
        storage.remove_tree(path)


def _all(out: Path) -> list[Path]:
    """Checkpoints by step, newest first."""
    found = [path for path in out.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    return sorted(found, key=lambda path: -int(path.name.removeprefix("checkpoint-")))


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
            parameter.copy_(tensors[name])


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
    state: dict[int, dict[str, Tensor]] = {}
    index_of = {name: index for index, name in enumerate(names)}
    for full, value in tensors.items():
        name, _, key = full.rpartition(".")
        state.setdefault(index_of[name], {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _names_in_order(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[str]:
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    return [name_of[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
