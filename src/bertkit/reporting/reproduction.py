"""The commands that make each result again, from what its manifest says."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from bertkit.reporting.pipeline_picture import name


def commands(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What each line of the pipeline is called and the command that makes it; of several seeds the first.

    Paths are those of `bertkit run`, below `artifacts`; settings are what presets and arguments said. What another
    program made has no command.
    """
    made = {one["fingerprint"]: one for one in report["made"]}
    return [
        (name(step), command(made[step["first"]], made))
        for step in report["pipeline"]
        if made[step["first"]]["stage"] is not None
    ]


def command(one: Mapping[str, Any], made: Mapping[str, Mapping[str, Any]]) -> str:
    """One `python recipes/STAGE.py ...` line."""
    words = ["python", f"recipes/{one['stage']}.py", *_inputs(one, made), "--out", place(one)]
    return shlex.join([*words, *_settings(one["given"])])


def place(one: Mapping[str, Any]) -> str:
    """Where `bertkit run` puts a result."""
    return f"artifacts/{one['stage']}/{one['fingerprint']}"


def _inputs(one: Mapping[str, Any], made: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for port, given in one["inputs"].items():
        for fingerprint in given if isinstance(given, list) else [given]:
            known = made.get(fingerprint)
            where = place(known) if known and known["stage"] else f"DIR-OF-{fingerprint}"
            yield from ("--input", f"{port}={where}")


def _settings(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        # JSON is YAML, which is how the recipes read values.
        yield f"{key}={json.dumps(value, ensure_ascii=False)}"
