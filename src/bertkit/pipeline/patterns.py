"""Inputs named by a pattern: `metrics: "topic_*"` stands for every entry of such a name that makes what the input reads."""

from fnmatch import fnmatchcase

from bertkit import stages
from bertkit.pipeline.spec import Entry


def expand(entries: dict[str, Entry]) -> dict[str, Entry]:
    """The entries with names in the place of patterns, in the order of the file.

    `*` alone may stand for none; any other pattern of no name stays as it is, to be told as a mistake.
    """
    return {name: _with_names(name, entry, entries) for name, entry in entries.items()}


def _with_names(name: str, entry: Entry, entries: dict[str, Entry]) -> Entry:
    if entry.stage not in stages.NAMES:
        return entry
    ports = stages.load(entry.stage).ports
    inputs = dict(entry.inputs)
    for port, given in entry.inputs.items():
        sources = [given] if isinstance(given, str) else given
        if port not in ports or not any("*" in source for source in sources):
            continue
        wanted = ports[port].artifact
        makers = [other for other, own in entries.items() if other != name and _makes(own, wanted)]
        found = [one for source in sources for one in _matching(source, makers)]
        inputs[port] = list(dict.fromkeys(found))
        if not found:
            del inputs[port]
    return entry if inputs == entry.inputs else entry.model_copy(update={"inputs": inputs})


def _makes(entry: Entry, wanted: type) -> bool:
    return entry.stage in stages.NAMES and issubclass(stages.load(entry.stage).output, wanted)


def _matching(source: str, names: list[str]) -> list[str]:
    if "*" not in source:
        return [source]
    found = [name for name in names if fnmatchcase(name, source)]
    return found if found or source == "*" else [source]
