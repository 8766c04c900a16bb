"""The tables of what was read, kept and dropped, and of how every result was made."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from bertkit.reporting.numbers import MISSING, count, duration, number, share
from bertkit.reporting.table import Column, Row, Table

Report = Mapping[str, Any]


def corpus(stats: Report) -> Table:
    """What was read, dropped by reason, changed by reason, and kept."""
    read = stats["read"]
    rows = [_counted("read", read, read, "total")]
    rows += [_counted(f"dropped: {reason}", n, read, "loss") for reason, n in _largest_first(stats["dropped"])]
    rows.append(_counted("kept", stats["kept"], read, "total"))
    names = {"train": "to train on", "heldout": "held out, to measure on"}
    rows += [_counted(names.get(split, split), n, read, "part") for split, n in (stats["documents"] or {}).items()]
    columns = [Column("documents", numeric=False), Column("count"), Column("of all read")]
    notes = [f"Changed and kept: {count(n)} {reason}." for reason, n in _largest_first(stats["changed"])]
    if not stats["dropped"]:
        notes.insert(0, "Nothing was dropped.")
    for unit in ("sentences", "characters"):
        if parts := stats[unit]:
            notes.append(f"{unit.capitalize()}: {', '.join(f'{count(n)} {split}' for split, n in parts.items())}.")
    source = described(stats["source"])
    return Table(f"Corpus ({source}, language {stats['language'] or MISSING})", columns, rows, notes)


def token_store(store: Report) -> Table:
    """What the token store holds, by split."""
    keys = ("documents", "sentences", "tokens")
    rows = [Row([split, *(count(n.get(key)) for key in keys)]) for split, n in store["counts"].items()]
    dropped = {"empty_sentences": "sentences without a token", "empty_documents": "documents without a sentence"}
    notes = [
        f"Dropped from {split}: {count(n[key])} {what}."
        for split, n in store["counts"].items()
        for key, what in dropped.items()
        if n.get(key)
    ]
    columns = [Column("split", numeric=False), *(Column(key) for key in keys)]
    return Table("Token store", columns, rows, notes or ["Nothing was dropped."])


def tokenizer(quality: Report) -> Table:
    """A tokenizer's figures."""
    measured = quality["measured_on"]
    split = {"heldout": "held-out", "train": "training"}.get(measured["split"] or "", measured["split"] or "sample")
    asked = quality["vocab_size_asked"]
    size = count(quality["vocab_size"]) + (
        f" (asked for {count(asked)})" if asked and asked != quality["vocab_size"] else ""
    )
    rows = [
        Row(["entries", size]),
        Row(["tokens a word (fertility)", number(quality["fertility"])]),
        Row(["characters a token", number(quality["characters_per_token"])]),
        Row(["unknown tokens", share(quality["unknown_rate"])]),
        Row(["entries never used on training text", count(quality["unused_entries"])]),
    ]
    notes = [f"Measured on {count(measured['words'])} words of {split} text."] if measured["words"] is not None else []
    return Table("Tokenizer", [Column("figure", numeric=False), Column("value")], rows, notes)


def task_rows(task: Report) -> Table:
    """A task's rows by split: read, dropped by reason, kept, and by label."""
    splits = list(task["counts"])
    rows = []
    if task["read"]:
        rows.append(Row(["read", *(count(task["read"].get(split)) for split in splits)], kind="total"))
    for reason in _reasons(task["dropped"]):
        cells = [count((task["dropped"].get(split) or {}).get(reason, 0)) for split in splits]
        rows.append(Row([f"dropped: {reason}", *cells], kind="loss"))
    rows.append(Row(["kept", *(count(task["counts"][split]) for split in splits)], kind="total"))
    for name, counts in _parts(task):
        rows.append(Row([name, *(count(counts.get(split)) for split in splits)], kind="part"))
    notes = [] if _reasons(task["dropped"]) else ["Nothing was dropped."]
    for split, changes in (task["changed"] or {}).items():
        notes += [f"Changed and kept in {split}: {count(n)} {reason}." for reason, n in _largest_first(changes)]
    notes += _overlap_notes(task["overlap"] or {})
    return Table(f"Task {task['name']}", [Column("rows", numeric=False), *map(Column, splits)], rows, notes)


def _parts(task: Report) -> list[tuple[str, dict[str, Any]]]:
    """What the rows of a task hold, as a name and its count by split: labels, entities by type, or questions."""
    by_split: Mapping[str, Mapping[str, Any]] = task["label_counts"] or task["entities"] or {}
    names = (
        list(task["labels"] or []) if task["label_counts"] else sorted({n for one in by_split.values() for n in one})
    )
    parts = [(str(name), {split: one.get(name) for split, one in by_split.items()}) for name in names]
    if task["kind"] == "tagging":
        return [(task["units"] or "tokens", dict(task["tokens"] or {})), *((f"{n} entities", c) for n, c in parts)]
    if task["kind"] == "spans":
        lengths = {split: one.get("median") for split, one in (task["characters"] or {}).items()}
        return [
            ("without an answer", dict(task["unanswerable"] or {})),
            ("contexts", dict(task["contexts"] or {})),
            ("median context, characters", lengths),
        ]
    return parts


def _overlap_notes(overlap: Mapping[str, int]) -> list[str]:
    sentences = {
        "validation_in_train": "validation texts are also in train",
        "test_in_train": "test texts are also in train",
        "validation_contexts_in_train": "contexts of validation are also in train",
        "test_contexts_in_train": "contexts of test are also in train",
        "test_in_validation": "test texts are also in validation",
        "train_repeats": "training rows repeat a text",
        "train_contradictions": "training rows share their text with a row of another label",
    }
    found = [f"{count(overlap[key])} {sentences.get(key, key)}" for key in overlap if overlap[key]]
    shared = any(overlap.get(key) for key in overlap if key.endswith(("_in_train", "_in_validation")))
    if not shared and overlap:
        found.insert(0, "no text is in two splits")
    return ["; ".join(found).capitalize() + "."] if found else []


# --- provenance ------------------------------------------------------------------------------------------------


def made(report: Report) -> Table:
    """How each result was made."""
    rows = []
    for one in report["made"]:
        stage = one["stage"] or f"{one['artifact']} from elsewhere"
        rows.append(Row([stage, one["fingerprint"], duration(one["seconds"]), described(one["config"])]))
    columns = [Column("stage", False), Column("fingerprint", False), Column("time"), Column("settings", False)]
    return Table("How it was made", columns, rows, _version_notes(report["made"]))


def _version_notes(made: Iterable[Mapping[str, Any]]) -> list[str]:
    versions: dict[str, set[str]] = {}
    for one in made:
        for package, version in one["versions"].items():
            versions.setdefault(package, set()).add(version)
    listed = ", ".join(f"{package} {' and '.join(sorted(found))}" for package, found in versions.items())
    return [f"Versions: {listed}."] if listed else []


def described(settings: Any) -> str:
    """Nested settings on one line: `format bbc, model.hidden_size 128`; unset ones are left out."""
    return ", ".join(f"{path} {value}" for path, value in _flat(settings or {}, "") if value is not None) or MISSING


def _flat(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [pair for key, one in value.items() for pair in _flat(one, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list):
        value = "[" + ", ".join(map(str, value)) + "]"
    return [(path, value)]


def _counted(name: str, n: int | None, whole: int | None, kind: Literal["total", "part", "loss"]) -> Row:
    return Row([name, count(n), share(n, whole)], bar=(n or 0) / whole if whole else None, kind=kind)


def _largest_first(counts: Mapping[str, int] | None) -> list[tuple[str, int]]:
    return sorted((counts or {}).items(), key=lambda item: (-item[1], item[0]))


def _reasons(dropped: Mapping[str, Mapping[str, int]] | None) -> list[str]:
    return sorted({reason for reasons in (dropped or {}).values() for reason in reasons})
