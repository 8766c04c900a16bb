"""The card of word vectors on the Hub: what they are, how they were learnt, how they score, and code that reads them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from bertkit.reporting import numbers
from bertkit.reporting.visible_text import markdown

# What of a run's config a reader asks for first; the manifest beside the card has all of it.
_SHOWN = (
    *("architecture", "objective", "window", "negative", "sample", "min_count", "lowercase", "chinese_units"),
    *("learning_rate", "num_train_epochs", "seed"),
)
_COUNTED = {
    "words": "words of the corpus",
    "kept_words": "of these with a vector",
    "distinct_words": "distinct words of the corpus",
}
_SNIPPET = """\
from pathlib import Path

import numpy as np
from huggingface_hub import snapshot_download
from safetensors.numpy import load_file

folder = Path(snapshot_download("{repo}"))
words = (folder / "words.txt").read_bytes().decode().removesuffix("\\n").split("\\n")
vectors = load_file(folder / "vectors.safetensors")["vectors"]
units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
nearest = np.argsort(-(units @ units[words.index({word})]))[:6]
print([words[i] for i in nearest])"""


def render(
    repo: str,
    *,
    words: Sequence[str],
    width: int,
    manifest: Mapping[str, Any],
    stats: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]] = (),
    license: str | None = None,
    language: str | None = None,
) -> str:
    """The card's text, Markdown below a head of YAML; `words` are in the order of their vectors, of `width` numbers each.

    `stats` is what stage `word2vec` counted, empty for vectors from a file. `metrics` are contents of the `metrics.json` of
    `evaluate_vectors`.
    """
    name = repo.rpartition("/")[2]
    head: dict[str, Any] = {"library_name": "bertkit", "tags": ["bertkit", "word-vectors"]}
    head["pipeline_tag"] = "feature-extraction"
    head |= {key: value for key, value in (("language", language), ("license", license)) if value}
    scored = [(key, one["split"], found) for one in metrics for key, found in one["sets"].items()]
    if results := [_result(*one) for one in scored if one[2]["score"] is not None]:
        head["model-index"] = [{"name": name, "results": results}]
    sections = (
        [f"# {markdown(name)}", "", f"{numbers.count(len(words))} words, a vector of {width} numbers each."],
        list(_use(repo, _example(words))),
        list(_training(manifest, stats)),
        list(_scores(metrics)),
        list(_limits(metrics)),
        ["## Licence", "", f"{markdown(license)}." if license else "No licence was chosen for these vectors."],
    )
    body = "\n\n".join("\n".join(lines) for lines in sections if lines)
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000)}---\n\n{body}\n"


def _result(name: str, split: str, found: Mapping[str, Any]) -> dict[str, Any]:
    kind, shown = _measure(found)
    return {
        "task": {"type": "feature-extraction"},
        "dataset": {"name": name, "type": name, "split": split},
        "metrics": [{"type": kind, "value": round(float(found["score"]), 6), "name": shown}],
    }


def _measure(found: Mapping[str, Any]) -> tuple[str, str]:
    """By what a set is scored, as the Hub spells it and for people: analogies are found or not, the rest is ranked."""
    return ("accuracy", "analogies found") if "sections" in found else ("spearmanr", "Spearman correlation")


def _example(words: Sequence[str]) -> str:
    """A word to look up: the first of some length and of letters alone, as the first of all are `the` and `of`."""
    fits = (w for w in words if w.isalpha() and w.isprintable() and len(w) >= (2 if w[0] >= "\u3400" else 5))
    return next(fits, next((w for w in words if w.isalpha()), ""))


def _use(repo: str, word: str) -> Iterator[str]:
    shown = json.dumps(word, ensure_ascii=False) if word else "words[0]"
    yield from ("## Use", "", "The words nearest to one:", "")
    if word:
        yield from ("```python", "import bertkit", "", f'print(bertkit.load("{repo}").nearest({shown}))', "```", "")
    yield from ("Without bertkit:", "", "```python")
    yield from _SNIPPET.format(repo=repo, word=shown).split("\n")
    yield from ("```", "", f"To begin with them: `--input vectors={repo}`, or `{repo}` as an input of a pipeline.")


def _training(manifest: Mapping[str, Any], stats: Mapping[str, Any]) -> Iterator[str]:
    if not stats:
        yield from ("## Training", "", "They were read from a file; how they were learnt is not known here.")
        return
    yield from (
        "## Training",
        "",
        "Learnt with bertkit's word2vec (Mikolov et al. 2013).",
        "",
        "| | value |",
        "|---|---|",
    )
    config = manifest.get("config", {})
    rows = {name: str(config[name]) for name in _SHOWN if config.get(name) is not None}
    rows |= {shown: numbers.count(stats[name]) for name, shown in _COUNTED.items() if name in stats}
    rows["time"] = numbers.duration(manifest.get("seconds"))
    rows["hardware"] = "CPU" + (
        f", {numbers.plural(threads, 'thread')}" if (threads := config.get("num_threads")) else ""
    )
    if corpus := manifest.get("identity", {}).get("inputs", {}).get("corpus"):
        rows["corpus (fingerprint)"] = str(corpus)
    rows["versions"] = ", ".join(f"{name} {version}" for name, version in manifest.get("versions", {}).items())
    yield from (f"| {markdown(name)} | {markdown(value)} |" for name, value in rows.items())


def _scores(metrics: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not metrics:
        return
    yield from (
        "## Scores",
        "",
        "| set | items | with vectors | metric | score | 95 % interval |",
        "|---|---:|---:|---|---:|---|",
    )
    for scores in metrics:
        for name, found in scores["sets"].items():
            score, ends = found["score"], found["interval"]
            shown = numbers.MISSING if score is None else f"{score:.3f}"
            reach = f"{ends[0]:.3f} to {ends[1]:.3f}" if ends and None not in ends else numbers.MISSING
            known = f"{numbers.count(found['known'])} ({found['known'] / max(found['items'], 1):.1%})"
            cells = (markdown(name), numbers.count(found["items"]), known, _measure(found)[1], shown, reach)
            yield f"| {' | '.join(cells)} |"
    yield from (
        "",
        "Items with a word that has no vector are left out. Intervals are bootstrap percentiles over items.",
    )


def _limits(metrics: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from (
        "## Limits",
        "",
        "- A word has one vector for all its meanings, and words that are not listed have none.",
    )
    if not metrics:
        yield "- No scores were published with them."
    yield "- They repeat what their text says, also where that is wrong or unfair; check them on your own text."
