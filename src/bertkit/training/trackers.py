"""Experiment trackers, through accelerate: wandb, tensorboard, trackio and others are told of a run, and keep its report."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any

from accelerate import Accelerator

log = logging.getLogger(__name__)

# Trackers that show a nested config as it is; the others take plain values only.
_TAKE_TREES = ("wandb", "trackio")


def open_trackers(
    accelerator: Accelerator, names: list[str], *, project: str, run: str, config: Mapping[str, Any], out: Path
) -> None:
    """Start the trackers that the accelerator was made with. wandb without a key runs offline, and says so."""
    if not names or not accelerator.is_main_process:
        return
    if "wandb" in names and "WANDB_MODE" not in os.environ and not _has_wandb_key():
        log.info("wandb: no API key, so the run is kept offline; `wandb sync` sends it later")
        os.environ["WANDB_MODE"] = "offline"
    # Runs lie beside the checkpoint, not in the working directory.
    own = {"wandb": {"dir": str(out), "name": run}, "trackio": {"name": run}}
    place = os.environ.get("WANDB_PROJECT") or project
    accelerator.init_trackers(place, init_kwargs={name: own[name] for name in names if name in own})
    for tracker in accelerator.trackers:
        tracker.store_init_configuration(config if tracker.name in _TAKE_TREES else dict(_leaves(config)))


def _leaves(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested blocks by their paths, `model.hidden_size`; what is no plain value as JSON."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value if isinstance(value, int | float | str | bool) else json.dumps(value)


def _has_wandb_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc().authenticators("api.wandb.ai") is not None
    except (FileNotFoundError, NetrcParseError):
        return False


def keep_report(accelerator: Accelerator, page: Path, markdown: Path, scores: Mapping[str, float]) -> None:
    """Give the open trackers the scores of a report and, where they can show it, the report itself.

    wandb keeps the page as an artifact and shows it, trackio shows it, tensorboard shows the text.
    """
    accelerator.log(dict(scores))
    for tracker in accelerator.trackers:
        match tracker.name:
            case "wandb":
                import wandb

                kept = wandb.Artifact("report", type="report")
                kept.add_file(str(page))
                tracker.tracker.log_artifact(kept)
                tracker.tracker.log({"report": wandb.Html(page.read_text(encoding="utf-8"), inject=False)})
            case "trackio":
                import trackio  # type: ignore[import-not-found, import-untyped, unused-ignore]

                tracker.tracker.log({"report": trackio.Html(page.read_text(encoding="utf-8"))})
            case "tensorboard":
                tracker.tracker.add_text("report", markdown.read_text(encoding="utf-8"))


def close_trackers(accelerator: Accelerator) -> None:
    """End the runs in the trackers. Not `end_training`, which also ends the process group that a stage needs further."""
    for tracker in accelerator.trackers:
        tracker.finish()
