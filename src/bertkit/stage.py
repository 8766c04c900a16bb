"""Stages: functions whose signature declares what they read and write.

    @stage("tokenizer", version=1)
    def tokenizer(config: TokenizerConfig, corpus: Corpus, *, out: Path) -> Tokenizer: ...

What makes a result (stage, version, config without its runtime fields, input files, the inputs' fingerprints) names
it. `manifest.json` is written last: a directory that has one is whole and is never made again, a directory without
one is unfinished work that a resumable stage goes on with and any other starts anew.
"""

import importlib.metadata
import inspect
import json
import logging
import platform
import time
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertkit import artifacts, storage
from bertkit.artifacts import SPARE, UNFINISHED, Artifact
from bertkit.config import Config, fingerprint
from bertkit.errors import StageError

log = logging.getLogger(__name__)

Inputs = Mapping[str, Artifact | tuple[Artifact, ...] | None]
InputFiles = Callable[[Any], list[Path]]
Fits = Callable[[Any, set[str]], None]
_PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "accelerate", "numpy", "pyarrow", "sentencex")


@dataclass(frozen=True, slots=True)
class Port:
    """One input of a stage, as its signature declares it."""

    name: str
    artifact: type[Artifact]
    many: bool
    optional: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The processes that run a stage together; alone by default."""

    rank: int = 0
    world_size: int = 1
    barrier: Callable[[], None] = lambda: None

    @property
    def is_main(self) -> bool:
        return self.rank == 0


@dataclass(frozen=True)
class Stage:
    """A stage function with what its signature says; calling it calls the function."""

    name: str
    version: int
    resumable: bool
    parallel: bool
    fn: Callable[..., Artifact]
    config: type[Config]
    ports: dict[str, Port]
    output: type[Artifact]
    input_files: InputFiles
    fits: Fits
    once: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Artifact:
        return self.fn(*args, **kwargs)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.fn.__doc__ or "").strip().splitlines()[0]

    def identity(
        self, config: Config, inputs: Mapping[str, str | list[str] | None], digests: storage.Digests
    ) -> dict[str, Any]:
        """What makes the result, given the fingerprints of its inputs."""
        return {
            "stage": self.name,
            "version": self.version,
            "config": config.identity(),
            "files": _named_digests(_expand(self.input_files(config)), digests),
            "inputs": {port: value for port, value in sorted(inputs.items()) if value},
        }

    def run(
        self,
        config: Config,
        inputs: Inputs,
        out: Path,
        identity: Mapping[str, Any],
        *,
        group: Group | None = None,
        wait: bool = False,
    ) -> Artifact:
        """Do the work in `out` unless it is done; go on from unfinished work where the stage can.

        Raises:
            BusyError: another run holds `out`.
            StageError: `out` holds something else, or the inputs do not fit.
            ConfigError: config and inputs do not go together.
            IntegrityError: an input is not what was written.
        """
        group = group or Group()
        self.check_inputs(inputs)
        self.fits(config, {name for name, given in inputs.items() if given})
        if not group.is_main:
            group.barrier()
            return self._work(config, inputs, out, group)
        with storage.locked(out, wait=wait):
            if artifacts.read_manifest(out) is None:
                _check_content(inputs)
            self._prepare(out, identity)
            group.barrier()
            return self._work(config, inputs, out, group, identity)

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuse missing, unknown and wrongly typed inputs."""
        if unknown := inputs.keys() - self.ports.keys():
            raise StageError(f"{self.name} has no input {sorted(unknown)}; it reads {sorted(self.ports)}")
        for name, port in self.ports.items():
            given = inputs.get(name)
            if not given and not port.optional:
                raise StageError(f"{self.name} needs the input {name!r} (a {port.artifact.__name__})")
            for one in given if isinstance(given, tuple) else (given,):
                if one is not None and not isinstance(one, port.artifact):
                    raise StageError(
                        f"{self.name}.{name} needs a {port.artifact.__name__}, got a {type(one).__name__}",
                        where=str(one.path),
                    )

    def _prepare(self, out: Path, identity: Mapping[str, Any]) -> None:
        """Make `out` ours: leave whole and resumable work, clear away what cannot be gone on with."""
        if manifest := artifacts.read_manifest(out):
            if manifest["fingerprint"] != fingerprint(identity):
                raise StageError(
                    "holds a finished result of other inputs:\n  "
                    + "\n  ".join(differences(manifest["identity"], identity)),
                    where=str(out),
                    remedy="Give another --out, or delete that directory.",
                )
            _clear(out)
            return
        marker = _read_marker(out)
        for path in storage.left_by_killed_writes(out):
            if marker is not None or path.name.startswith(f".{UNFINISHED}."):  # the very first write
                storage.remove_tree(path)
        others = [path for path in out.iterdir() if path.name != ".lock"]
        if others and marker is None:
            raise StageError(
                "is not empty and not a bertkit result",
                where=str(out),
                remedy="Give an empty or a new directory as --out.",
            )
        if marker is not None and not (self.resumable and marker == identity):
            log.info("%s: starting anew in %s, where unfinished work lay", self.name, out)
            for path in others:
                storage.remove_tree(path)
        storage.write_json(out / UNFINISHED, dict(identity))

    def _work(
        self, config: Config, inputs: Inputs, out: Path, group: Group, identity: Mapping[str, Any] | None = None
    ) -> Artifact:
        if artifacts.read_manifest(out):
            log.info("%s: done already in %s", self.name, out)
            return self.output.open(out)
        given = {name: value for name, value in inputs.items() if value}
        started = time.monotonic()
        if group.is_main or self.parallel:
            result = self.fn(config, **given, out=out)
            if type(result) is not self.output or result.path != out:
                raise TypeError(f"stage {self.name} must return {self.output.__name__}({out})")
        group.barrier()
        if identity is not None:
            artifacts.finish(self.output(out), self._header(config, given, identity, time.monotonic() - started, group))
            _clear(out)
        group.barrier()
        return self.output.open(out)

    def _header(
        self, config: Config, inputs: Inputs, identity: Mapping[str, Any], seconds: float, group: Group
    ) -> dict[str, Any]:
        return {
            "stage": self.name,
            "version": self.version,
            "fingerprint": fingerprint(identity),
            "identity": dict(identity),
            "config": config.model_dump(mode="json"),
            # What presets and arguments said: the defaults of options that nothing reads may not be said again.
            "given": config.model_dump(mode="json", exclude_unset=True),
            "inputs": {
                name: [str(one.path) for one in value] if isinstance(value, tuple) else str(value.path)
                for name, value in inputs.items()
                if value
            },
            "versions": _versions(),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(seconds, 3),
            "processes": group.world_size,
        }


def stage(
    name: str,
    *,
    version: int,
    resumable: bool = False,
    parallel: bool = False,
    input_files: InputFiles | None = None,
    fits: Fits | None = None,
    once: bool = False,
) -> Callable[[Callable[..., Artifact]], Stage]:
    """Declare a stage.

    Args:
        version: raise it by hand when the same config and inputs come to mean another result.
        resumable: the function goes on from what it finds in `out`.
        parallel: every process runs it; otherwise only the main one does.
        input_files: files outside bertkit that `config` names; their content is part of the identity.
        fits: raises a ConfigError where `config` does not go with the inputs of these names; asked before anything runs.
        once: what it does outside of `out` another run would undo, so that a pipeline may not repeat it for seeds or folds.
    """

    def declare(fn: Callable[..., Artifact]) -> Stage:
        hints = typing.get_type_hints(fn)
        parameters = inspect.signature(fn).parameters
        names = list(parameters)
        if names[:1] != ["config"] or names[-1:] != ["out"]:
            raise TypeError(f"stage {name!r} must be fn(config, <inputs>, *, out)")
        ports = {n: _port(n, hints[n], parameters[n].default is not inspect.Parameter.empty) for n in names[1:-1]}
        files = input_files or (lambda config: [])
        always = fits or (lambda config, names: None)
        return Stage(
            name, version, resumable, parallel, fn, hints["config"], ports, hints["return"], files, always, once
        )

    return declare


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The fields in which two identities differ, as `path: old -> new`."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {_show(key, before, old)} -> {_show(key, after, new)}")
    return lines


def _show(key: str, value: Any, within: Mapping[str, Any]) -> str:
    if key not in within:
        return "(absent)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def _port(name: str, hint: Any, optional: bool) -> Port:
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    hint = next(member for member in members if member is not type(None))
    many = typing.get_origin(hint) is tuple
    artifact = typing.get_args(hint)[0] if many else hint
    if not (isinstance(artifact, type) and issubclass(artifact, Artifact)):
        raise TypeError(f"the input {name!r} must be an artifact type, not {hint!r}")
    return Port(name, artifact, many, optional)


def _expand(paths: list[Path]) -> list[Path]:
    """Files as they are, directories as all the files below them."""
    return [
        file
        for path in paths
        for file in (sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path])
    ]


def _named_digests(files: list[Path], digests: storage.Digests) -> dict[str, str]:
    """The content of `files` by name; where they lie is no part of what they say."""
    named: dict[str, str] = {}
    for file in files:
        name, copies = file.name, 1
        while name in named:
            copies += 1
            name = f"{file.name} ({copies})"
        named[name] = digests.sha256(file)
    return named


def _check_content(inputs: Inputs) -> None:
    """Once for a run, by the main process; the others wait."""
    for given in inputs.values():
        for one in given if isinstance(given, tuple) else (given,):
            if one is not None:
                one.check()


def _clear(out: Path) -> None:
    """Delete what only unfinished work needs."""
    for name in (SPARE, UNFINISHED):
        storage.remove_tree(out / name)


def _read_marker(out: Path) -> dict[str, Any] | None:
    try:
        marker: dict[str, Any] = json.loads((out / UNFINISHED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return marker


def _versions() -> dict[str, str]:
    from bertkit import __version__

    found = {"bertkit": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
