"""The kinds of tasks: how rows become a model's input, and its output predictions and scores."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from bertkit.errors import StageError
from bertkit.kinds.base import Kind

# The class of each kind, by its module: heavy libraries are imported with the kind that is used.
_CLASSES = {"classification": "Classification", "tagging": "Tagging", "spans": "Spans"}


def kind_of(task: Mapping[str, Any], settings: Mapping[str, Any], *, where: str) -> Kind:
    """The kind of a task, for its `task.json` or for a model's `predictor.json`.

    Raises:
        StageError: there is no such kind.
    """
    name = task["kind"]
    if name not in _CLASSES:
        raise StageError(f"is a task of kind {name!r}; there are heads for: {', '.join(_CLASSES)}", where=where)
    kind: Kind = getattr(import_module(f"bertkit.kinds.{name}"), _CLASSES[name])(task, settings, where=where)
    return kind
