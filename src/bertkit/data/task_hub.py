"""A known set's rows from the Hugging Face Hub, for machines that have no local copy."""

import logging
from collections.abc import Iterator
from typing import Any

from bertkit.data.published import HubSource, KnownSet
from bertkit.data.tables.rows import BadRow, Row
from bertkit.data.task_labels import UNLABELLED
from bertkit.errors import DataError, HostError
from bertkit.hub.patience import without_secrets

log = logging.getLogger(__name__)


def read_hub_set(known: KnownSet) -> dict[str, Iterator[Row | BadRow]]:
    """The rows of each split, numbered from 1; `where` is `HUB ID (split): row N`.

    Raises:
        HostError: as of `load_hub_set`.
    """
    loaded, hub = load_hub_set(known)
    return {split: _rows(loaded, hub, sources) for split, sources in hub.splits.items()}


def load_hub_set(known: KnownSet) -> tuple[Any, HubSource]:
    """A set's splits as `datasets` has them, and where they come from.

    Raises:
        HostError: the Hub cannot be reached or does not have the set, or this is not a set of the Hub.
    """
    if known.hub is None:
        remedy = f"Read a local copy: {_local_copy(known)}" if known.files else None
        raise HostError(f"the set {known.name!r} is not on the Hub", remedy=remedy)
    return _load(known, known.hub), known.hub


def _load(known: KnownSet, hub: HubSource) -> Any:
    import datasets

    log.info("fetching %s from the Hugging Face Hub (%s)", known.name, hub.path)
    try:
        return datasets.load_dataset(hub.path, hub.name, revision=hub.revision)
    except (OSError, RuntimeError, ValueError) as e:
        reason = (without_secrets(str(e)).splitlines() or [type(e).__name__])[0]
        remedy = "Check the network, HF_ENDPOINT and HF_HUB_OFFLINE."
        if known.files:
            remedy += f" Or read a local copy: {_local_copy(known)}"
        raise HostError(
            f"{known.name} cannot be fetched from the Hugging Face Hub: {reason}", where=hub.path, remedy=remedy
        ) from None


def _local_copy(known: KnownSet) -> str:
    names = ", ".join(file.name for files in known.files.values() for file in files)
    return f"--data-dir DIR, where DIR/{known.name} holds {names}."


def _rows(loaded: Any, hub: HubSource, sources: tuple[str, ...]) -> Iterator[Row | BadRow]:
    number = 0
    for source in sources:
        for position, label, texts in _values(loaded, hub, source):
            number += 1
            where = f"{hub.path} ({source}): row {position}"
            if label is None:
                yield BadRow(number, UNLABELLED)
            else:
                yield Row(number, where, {**texts, "label": label})


def _values(loaded: Any, hub: HubSource, source: str) -> Iterator[tuple[int, Any, dict[str, Any]]]:
    """Position from 1, label by name (None where it is secret) and texts by role of each row."""
    if source not in loaded:
        raise DataError(f"has no split {source!r}; it has {', '.join(loaded)}", where=hub.path)
    split = loaded[source]
    roles = {"text": hub.text, **({"text_pair": hub.text_pair} if hub.text_pair else {})}
    missing = {*roles.values(), hub.label} - set(split.column_names)
    if missing:
        raise DataError(f"has no column {min(missing)!r}; it has {', '.join(split.column_names)}", where=hub.path)
    feature = split.features[hub.label]
    names = getattr(getattr(feature, "feature", feature), "names", None)
    for position, row in enumerate(split, start=1):
        label, texts = row[hub.label], {role: row[column] for role, column in roles.items()}
        if source in hub.unlabelled or label == -1:
            yield position, None, texts
        else:
            yield position, _named(label, names, hub), texts


def _named(label: Any, names: list[str] | None, hub: HubSource) -> Any:
    """A label by our name; a list of them, as of tokens, one by one."""
    if isinstance(label, list):
        return [_named(one, names, hub) for one in label]
    name = names[label] if names and isinstance(label, int) else label
    return hub.renamed.get(name, name)
