"""The YAML of a pipeline: which stages, fed by which, with which preset and config. No logic."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from bertkit.config import Config, Layer, check, merge, raise_mistakes, read_yaml
from bertkit.errors import ConfigError, did_you_mean


class Entry(Config):
    """One line of a pipeline."""

    stage: str
    """The stage to run."""
    preset: str | None = None
    """A file of `recipes/presets/<stage>/`, without `.yaml`, or a path to a YAML file."""
    inputs: dict[str, str | list[str]] = Field(default_factory=dict)
    """Input name to the entry that makes it, to several of them, or to a finished directory (a path with a slash); null
    takes one back that the file gives. Where an input takes several, `"topic_*"` stands for every entry of such a name that
    makes what it reads, `"*"` for all that do."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Values laid over the preset."""
    seeds: list[int] | None = None
    """Run this entry, and all that reads it, once for each of these seeds."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Cut this entry's task data into so many folds, and run all that reads it once for each of them."""
    train_sizes: Annotated[list[Annotated[int, Field(ge=2)] | Literal["all"]], Field(min_length=1)] | None = None
    """Train this entry, and run all that reads it, once on each of these numbers of training rows: a learning curve."""
    launch: Literal["in_process", "accelerate"] = "in_process"
    """How to start it: here, or by `accelerate launch` with `accelerate_config.yaml`."""

    @field_validator("inputs", mode="before")
    @classmethod
    def _without_those_taken_back(cls, inputs: Any) -> Any:
        return (
            {name: given for name, given in inputs.items() if given is not None} if isinstance(inputs, dict) else inputs
        )


class PipelineFile(Config):
    """A whole pipeline."""

    stages: dict[str, Entry]
    """Name to entry, in any order."""


# Where the recipes are of a bertkit that was installed from its checkout, `pip install --editable`.
_CHECKOUT = Path(__file__).parents[3]

# Keys of an entry that an override may set as if they were config: `STAGE.seeds=[1,2]`.
_ENTRY_KEYS = ("preset", "inputs", "seeds", "folds", "train_sizes", "launch")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline as written, with its overrides laid over it and every value's place."""

    name: str
    home: Path
    entries: dict[str, Entry]
    layer: Layer


def read_pipeline(path: Path, overrides: Layer) -> Pipeline:
    """Read and check a pipeline's own schema.

    Raises:
        ConfigError: every mistake in it, together.
    """
    layer = merge(read_yaml(path), _as_entries(overrides))
    mistakes = _unknown_entries(read_yaml(path), overrides)
    spec, more = check(PipelineFile, layer)
    if spec is None or mistakes:
        raise_mistakes(str(path), mistakes + more)
    assert spec is not None
    return Pipeline(path.stem, find_home(path.parent), spec.stages, layer)


def find_home(start: Path) -> Path:
    """The nearest folder above `start` or the working directory that has `recipes/presets/`; else bertkit's own checkout."""
    for folder in (start.resolve(), *start.resolve().parents, Path.cwd(), *Path.cwd().parents, _CHECKOUT):
        if (folder / "recipes" / "presets").is_dir():
            return folder
    return Path.cwd()


def preset_layer(home: Path, stage: str, preset: str) -> Layer:
    """The values of a preset, by its name or by the path of a file.

    Raises:
        ConfigError: there is none of that name; the message lists those there are.
    """
    if os.sep in preset or preset.endswith((".yaml", ".yml")):
        return read_yaml(Path(preset))
    folder = home / "recipes" / "presets" / stage
    path = folder / f"{preset}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        if not known:
            where = f"there are none in {folder}; they come with bertkit's repository, in recipes/presets"
            raise ConfigError(f"{stage} has no preset {preset!r}: {where}", remedy="Or give the path of a YAML file.")
        guess = did_you_mean(preset, known)
        remedy = f"Presets of {stage}: {', '.join(known)}."
        raise ConfigError(f"{stage} has no preset {preset!r}{guess or ''}", remedy=remedy)
    return read_yaml(path)


def _as_entries(overrides: Layer) -> Layer:
    """`STAGE.key=value` as the pipeline spells it: `stages.STAGE.config.key`."""
    data: dict[str, Any] = {}
    for name, values in overrides.data.items():
        if isinstance(values, dict):
            own = {key: value for key, value in values.items() if key in _ENTRY_KEYS}
            config = {key: value for key, value in values.items() if key not in _ENTRY_KEYS}
            data[name] = own | ({"config": config} if config else {})
    places = {
        ("stages", path[0], *(() if len(path) > 1 and path[1] in _ENTRY_KEYS else ("config",)), *path[1:]): where
        for path, where in overrides.places.items()
    }
    return Layer({"stages": data} if data else {}, places)


def _unknown_entries(written: Layer, overrides: Layer) -> list[str]:
    names = list(written.section("stages").data)
    mistakes = []
    for path, where in overrides.places.items():
        name = str(path[0])
        if name not in names:
            guess = did_you_mean(name, names) or f"; it has {', '.join(names)}"
            mistakes.append(f"{where}: the pipeline has no stage {name!r}{guess}")
        elif len(path) == 1:
            mistakes.append(f"{where}: an override names a key of the stage: {name}.KEY=VALUE")
    if mistakes:
        raise_mistakes("overrides", mistakes)
    return mistakes
