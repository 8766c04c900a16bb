"""`bertkit inspect` for labelled data: what bertkit understands of a file, or keeps in a folder of task_data."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertkit.config import Layer, build
from bertkit.data.file_formats import guess_source, kind_of_format
from bertkit.errors import DataError
from bertkit.stages.task_data import TaskDataConfig, read_task

if TYPE_CHECKING:
    from bertkit.data.split_data import SplitData

_TEXTS = {"classification": ("text", "text_pair"), "tagging": ("text",), "spans": ("question", "context")}
_OF_LENGTHS = ("characters", "tokens", "truncated", "unknown_tokens")
_SHOWN_LABELS = 20
_SHOWN_ROWS = 10
_ANY_NUMBER = 2**31


def inspect_file(path: Path, overrides: Mapping[str, Any], *, tokenizer: Path | None = None) -> dict[str, Any]:
    """What the stage task_data would make of a file, as JSON; `overrides` are values of its `source`.

    `problem`, where there is one, says why it cannot be trained on as it is.

    Raises:
        DataError: the file cannot be read at all.
        ConfigError: `overrides` are no values of such a source.
    """
    found: dict[str, Any] = {"path": str(path)}
    source = guess_source(path, dict(overrides), found)
    config = build(TaskDataConfig, Layer({"source": source, "max_bad_rows": _ANY_NUMBER}), name="task_data")
    data = read_task(config)
    items, tally = data.splits["train"], data.tallies["train"]
    problem = _problem(data, path)
    found["kind"] = kind_of_format(found["format"])
    found |= _of_kind(data)
    found["rows"] = {"read": tally.read, "used": len(items), "bad": tally.bad}
    found["dropped"] = {reason: n for reason, n in tally.dropped.items() if n}
    found["changed"] = {reason: n for reason, n in tally.changed.items() if n}
    found["bad_rows"] = [{"where": e.where, "what": e.what, "remedy": e.remedy} for e in tally.errors[:_SHOWN_ROWS]]
    if items:
        found |= _lengths([_texts(_columns_of(item), found["kind"]) for item in items], tokenizer)
    found["problem"] = problem
    return found


def inspect_folder(path: Path, *, tokenizer: Path | None = None) -> dict[str, Any]:
    """What a folder of task_data holds, as JSON: its `task.json`, and the lengths of each split."""
    from bertkit.artifacts import TaskData

    data = TaskData.open(path)
    task = data.task
    keys = ("problem_type", "primary", "labels", "label_counts", "label_range", "entities", "unanswerable", "overlap")
    found = {"path": str(path), "name": task["name"], "kind": task["kind"]}
    found |= {key: task[key] for key in (*keys, "read", "counts", "dropped", "changed") if key in task}
    found["splits"] = {
        split: _lengths([_texts(row, task["kind"]) for row in data.rows(split)], tokenizer)
        for split, count in task["counts"].items()
        if count
    }
    return found


def refuse_unusable(found: Mapping[str, Any]) -> None:
    """Raise a DataError where `inspect_file` found that a file is of no use as it is."""
    if found.get("problem") is not None:
        problem = found["problem"]
        raise DataError(problem["what"], where=problem["where"], remedy=problem["remedy"])


def as_text(found: Mapping[str, Any]) -> Iterator[str]:
    """What was found, in lines for people."""
    yield found["path"]
    splits = found.get("splits") or {"": found}
    for name, value in found.items():
        if name in ("path", "bad_rows", "problem", "splits", *_OF_LENGTHS) or value in (
            {},
            None,
        ):
            continue
        yield _line(name, _shown(value))
    rows = found["rows"]["used"] if "rows" in found else None
    for split, lengths in splits.items():
        count = found["counts"][split] if rows is None else rows
        for name in ("characters", "tokens"):
            if name in lengths:
                yield _line(f"{split} {name}".strip(), _shown(lengths[name]))
        for limit, n in lengths.get("truncated", {}).items():
            yield _line(f"{split} over {limit} tokens".strip(), f"{n:,} ({n / count:.1%})")
        if "unknown_tokens" in lengths:
            yield _line(f"{split} unknown tokens".strip(), f"{lengths['unknown_tokens']:.1%}")
    for row in found.get("bad_rows", ()):
        yield _line("bad row", f"{row['where']}: {row['what']}")
    if (bad := found.get("rows", {}).get("bad", 0)) > len(found.get("bad_rows", ())):
        yield _line("bad row", f"and {bad - len(found['bad_rows']):,} more")
    for remedy in dict.fromkeys(row["remedy"] for row in found.get("bad_rows", ()) if row["remedy"]):
        yield _line("remedy", remedy)
    if bad:
        yield _line("", "task_data stops at a bad row unless max_bad_rows allows it.")
    if "tokens" not in next(iter(splits.values()), {}):
        yield _line("", "--tokenizer DIR tells lengths in tokens, and what would be cut.")


def _problem(data: "SplitData[Any]", path: Path) -> dict[str, Any] | None:
    if not data.splits["train"]:
        what = f"has no row that can be used, of {data.tallies['train'].read:,}"
        if not (errors := data.tallies["train"].errors):
            return {"what": what, "where": str(path), "remedy": None}
        return {"what": f"{what}: {errors[0].what}", "where": errors[0].where, "remedy": errors[0].remedy}
    try:
        data.check(carved=False)
        data.check_sampled()
    except DataError as e:
        return {"what": e.what, "where": e.where, "remedy": e.remedy}
    return None


def _of_kind(data: "SplitData[Any]") -> dict[str, Any]:
    """Kind, labels and repeats, also of data that cannot be trained on."""
    from bertkit.data import task_splits
    from bertkit.data.task_examples import Example
    from bertkit.data.tasks import LabelledData

    if not isinstance(data, LabelledData):
        if not data.splits["train"]:
            return {}
        details = data.details()
        renamed = {"tokens": "tagged_tokens", "units": "units", "schemes": "scheme", "entities": "entities"}
        renamed["unanswerable"] = "unanswerable"
        of_train = {shown: details[name] for name, shown in renamed.items() if name in details}
        return {name: value.get("train") if isinstance(value, dict) else value for name, value in of_train.items()}
    examples: Sequence[Example] = data.splits["train"]
    found: dict[str, Any] = {"problem_type": data.problem_type}
    if data.problem_type == "regression":
        return found | ({"label_range": task_splits.label_range(examples)} if examples else {}) | _repeats(examples)
    counts = Counter(label for example in examples for label in task_splits.labels_of(example))
    order = data.labels or sorted(counts)
    return found | {"label_counts": {label: counts[label] for label in order}} | _repeats(examples)


def _repeats(examples: "Sequence[Any]") -> dict[str, int]:
    from bertkit.data import task_splits

    if not examples:
        return {}
    found = task_splits.overlap({"train": examples})
    return {"repeats": found["train_repeats"], "contradictions": found["train_contradictions"]}


def _columns_of(item: Any) -> dict[str, Any]:
    """A row of any kind by column."""
    return {name: getattr(item, name) for name in ("text", "text_pair", "question", "context") if hasattr(item, name)}


def _texts(row: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    return tuple(row[name] for name in _TEXTS[kind] if row.get(name) is not None)


def _lengths(texts: list[tuple[str, ...]], tokenizer: Path | None) -> dict[str, Any]:
    from bertkit.data.text_profile import profile
    from bertkit.text.vocabulary import read_vocabulary
    from bertkit.text.wordpiece import load_encode

    if tokenizer is None:
        return profile(texts)
    return profile(texts, load_encode(tokenizer), unknown=read_vocabulary(tokenizer).unk)


def _line(name: str, value: str) -> str:
    return f"  {name.replace('_', ' '):<22} {value}".rstrip()


def _shown(value: Any) -> str:
    match value:
        case dict():
            return _listed([f"{name}: {_nested(one)}" for name, one in value.items()])
        case list():
            return _listed([str(one) for one in value])
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
    return str(value)


def _nested(value: Any) -> str:
    return f"{{{_shown(value)}}}" if isinstance(value, dict) else _shown(value)


def _listed(shown: list[str]) -> str:
    more = len(shown) - _SHOWN_LABELS
    return ", ".join(shown[:_SHOWN_LABELS]) + (f" and {more} more" if more > 0 else "")
