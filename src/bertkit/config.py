"""Typed configuration: layers of YAML and overrides in, one frozen pydantic object out.

Order, lowest to highest: defaults in the class < preset YAML < pipeline `config:` < `key.path=value`.
Every value remembers the place it came from, so that every mistake names a file and line, and all of them are
reported together.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bertkit.errors import ConfigError, did_you_mean

Path_ = tuple[str | int, ...]

# A block that names one of these says what kind of thing it is: another kind replaces the block beneath it
# instead of mixing with its now meaningless keys.
KIND_KEYS = ("format", "dataset")

# Far above any config; a few nested aliases would otherwise unfold into billions of values.
MAX_NODES = 100_000


class Config(BaseModel):
    """Base of every stage's config: unknown keys are errors, values are frozen, fields carry their docstring."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result, as plain JSON: runtime fields are left out, at any depth."""
        return {
            name: _plain(getattr(self, name))
            for name, info in type(self).model_fields.items()
            if not _is_runtime(info.json_schema_extra)
        }


def runtime(default: Any, **kwargs: Any) -> Any:
    """A field that says where or how fast to run, never what is computed: not part of the fingerprint."""
    return Field(default, json_schema_extra={"runtime": True}, **kwargs)


def fingerprint(payload: Mapping[str, Any]) -> str:
    """Ten hexadecimal digits of the SHA-256 of `payload` as canonical JSON."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _is_runtime(extra: Any) -> bool:
    return isinstance(extra, dict) and bool(extra.get("runtime"))


def _plain(value: Any) -> Any:
    """`value` as JSON that is always written the same way; refuses what is not."""
    match value:
        case Config():
            return value.identity()
        case None | bool() | int() | float() | str():
            return value
        case Path():
            return str(value)
        case list() | tuple():
            return [_plain(v) for v in value]
        case dict():
            return {str(k): _plain(v) for k, v in value.items()}
    raise TypeError(f"cannot fingerprint a {type(value).__name__}: {value!r}")


# --- layers ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Layer:
    """A tree of plain values and, for each path in it, the place it was written."""

    data: dict[str, Any]
    places: dict[Path_, str] = field(default_factory=dict)

    def section(self, *path: str) -> "Layer":
        """The mapping below `path` (empty when absent), with its places."""
        data: Any = self.data
        for key in path:
            data = data.get(key, {}) if isinstance(data, dict) else {}
        n = len(path)
        places = {p[n:]: where for p, where in self.places.items() if p[:n] == path}
        return Layer(data if isinstance(data, dict) else {}, places)

    def place(self, path: Path_) -> str | None:
        """Where `path`, or the nearest thing above it, was written."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return None


def read_yaml(path: Path) -> Layer:
    """Read a YAML mapping; scalars follow JSON (`1e-4` is a number, `no` a string), repeated keys are errors.

    Raises:
        ConfigError: the file is missing, unreadable, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"cannot be read: {e}", where=str(path)) from None
    data, places = _parse(text, str(path))
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"must be a mapping of keys to values, not {type(data).__name__}", where=str(path))
    return Layer(data, places)


def parse_overrides(items: Iterable[str]) -> Layer:
    """`key.path=value` arguments as one layer; values are YAML, so `[1, 2]`, `null` and `1e-4` mean what they say.

    A single sign, as a separator is one, is itself (but `~` is null): YAML reads `,` and `|` as part of something larger.
    """
    layer = Layer({})
    for item in items:
        key, equals, text = item.removeprefix("--").partition("=")
        path = tuple(key.split("."))
        if not equals or not all(path):
            raise ConfigError(f"{item!r} is not an override", remedy="Write key.path=value, for example seed=7.")
        where = f"override {item!r}"
        is_sign = len(text) == 1 and not text.isalnum() and text != "~"
        value = text if is_sign else _parse(text, where)[0]
        _set(layer, path, value, where)
    return layer


def merge(*layers: Layer) -> Layer:
    """Lay `layers` over each other, the last on top: mappings merge by key, everything else replaces."""
    result = Layer({})
    for layer in layers:
        result = Layer(_merge(result.data, layer.data), result.places | layer.places)
    return result


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    changed_kind = any(
        key in above and below.get(key) != above[key] and any(k in below for k in KIND_KEYS) for key in KIND_KEYS
    )
    merged = {} if changed_kind else dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _set(layer: Layer, path: tuple[str, ...], value: Any, where: str) -> None:
    data = layer.data
    for depth, key in enumerate(path[:-1]):
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise ConfigError(f"{'.'.join(path[: depth + 1])} is set to a value and also given keys", where=where)
    data[path[-1]] = value
    layer.places[path] = where


# --- validation ------------------------------------------------------------------------------------------------

C = TypeVar("C", bound=Config)


def build(config: type[C], layer: Layer, *, name: str = "") -> C:
    """The config that `layer` describes.

    Raises:
        ConfigError: every mistake at once, each with its place, path, the value seen and a suggestion.
    """
    built, mistakes = check(config, layer, name=name)
    if built is None:
        raise ConfigError(_list_mistakes(name or config.__name__, mistakes))
    return built


def check(config: type[C], layer: Layer, *, name: str = "") -> tuple[C | None, list[str]]:
    """As `build`, but hand the mistakes back, for callers that gather more of them."""
    try:
        return config.model_validate_json(json.dumps(layer.data), strict=True), []
    except ValidationError as e:
        return None, [_describe(config, error, layer, name) for error in e.errors()]


def raise_mistakes(subject: str, mistakes: Sequence[str]) -> None:
    """Raise one ConfigError that lists `mistakes`, if there are any."""
    if mistakes:
        raise ConfigError(_list_mistakes(subject, mistakes))


def _list_mistakes(subject: str, mistakes: Sequence[str]) -> str:
    count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "1 mistake"
    return f"{subject}: {count}\n" + "\n".join(f"  {m}" for m in mistakes)


def _describe(config: type[BaseModel], error: Any, layer: Layer, name: str) -> str:
    path = tuple(step for step in error["loc"] if not _is_union_tag(step, error["loc"], layer.data))
    dotted = ".".join(str(step) for step in ((name, *path) if name else path)) or config.__name__
    where = layer.place(path)
    if error["type"] == "extra_forbidden":
        known = sorted(_field_names(config, path[:-1]))
        guess = did_you_mean(str(path[-1]), known) or (f"; it may be one of {', '.join(known)}" if known else "")
        reason = f"no such key{guess}"
    elif error["type"] == "missing":
        reason = "is required"
    else:
        reason = f"{error['msg']} (got {error['input']!r})"
    return f"{where}: {dotted}: {reason}" if where else f"{dotted}: {reason}"


def _is_union_tag(step: str | int, loc: Path_, data: Any) -> bool:
    """Pydantic puts a discriminated union's tag into the path, where the data has no such key."""
    for part in loc:
        if part == step:
            break
        if isinstance(data, dict) and part in data:
            data = data[part]
    if not isinstance(step, str) or not isinstance(data, dict) or step in data:
        return False
    # A tag that a function makes up is not among the values, but what is not in the data has nothing below it.
    return step in data.values() or step != loc[-1]


def _field_names(config: type[BaseModel], path: Path_) -> set[str]:
    """Names that may stand at `path`, of every member where a field is a union."""
    models: list[type[BaseModel]] = [config]
    for step in path:
        models = [
            inner
            for model in models
            if isinstance(step, str) and step in model.model_fields
            for inner in _models_in(model.model_fields[step].annotation)
        ]
    return {name for model in models for name in model.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


# --- YAML ------------------------------------------------------------------------------------------------------

_SCALARS = (
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), "tf"),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$"), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^[-+]?(?:(?:0|[1-9][0-9_]*)(?:\.[0-9]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|\.[0-9]+(?:[eE][-+]?[0-9]+)?)$"
        ),
        "-+.0123456789",
    ),
)
_DROPPED = {tag for tag, _, _ in _SCALARS} | {"tag:yaml.org,2002:timestamp"}


@cache
def _loader() -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 (the base class declares it so)
            first: [(tag, pattern) for tag, pattern in rules if tag not in _DROPPED]
            for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    for tag, pattern, first in _SCALARS:
        Loader.add_implicit_resolver(tag, pattern, list(first))
    return Loader


def _parse(text: str, name: str) -> tuple[Any, dict[Path_, str]]:
    """The value of a YAML text, and `name:line` for every path in it."""
    try:
        node = yaml.compose(text, Loader=_loader())
        places: dict[Path_, str] = {}
        if node is None:
            return None, places
        _mark(node, (), name, places)
        return _loader()("").construct_document(node), places
    except yaml.MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else 1
        raise ConfigError(f"not valid YAML: {e.problem}", where=f"{name}:{line}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as e:
        raise ConfigError(f"not valid YAML: {e}", where=name) from None


def _mark(node: yaml.Node, path: Path_, name: str, places: dict[Path_, str]) -> None:
    if name.startswith("override "):
        return
    if len(places) > MAX_NODES:
        raise ConfigError(f"holds more than {MAX_NODES:,} values, aliases counted in", where=name)
    places.setdefault(path, f"{name}:{node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            where = f"{name}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError("a key must be a plain word", where=where)
            if key.value in seen:
                raise ConfigError(f"the key {key.value!r} stands here a second time", where=where)
            seen.add(key.value)
            places[*path, key.value] = where
            _mark(value, (*path, key.value), name, places)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(value, (*path, index), name, places)
