"""A model card from what a model's folder and its scores say: Markdown below a head of YAML, as the Hub reads it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from bertkit.data.published import KnownSet
from bertkit.data.task_catalogue import KNOWN
from bertkit.reporting import card_examples, numbers
from bertkit.reporting.visible_text import markdown

_TAGS = {"classification": "text-classification", "tagging": "token-classification", "spans": "question-answering"}
_PURPOSES = {"classification": "classify texts", "tagging": "tag words", "spans": "find answers in texts"}
_PROBLEMS = {"regression": "score texts", "multi_label_classification": "give texts any number of labels"}
# What of a run's config a reader asks for first; the manifest beside the card has all of it.
_SHOWN = (
    *("seed", "train_batch_size", "learning_rate", "lr_scheduler_type", "warmup_steps", "optim", "weight_decay"),
    *("max_seq_length", "num_train_epochs", "dropout", "max_grad_norm"),
    *("objective", "mlm_probability", "mask_strategy"),
)
_SHAPE = (("num_hidden_layers", "layer"), ("num_attention_heads", "head"))


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card is made of.

    `predictor` is None for a pretrained model. `metrics` are contents of `metrics.json`. `snippet` is
    the code by which transformers reads the folder, empty where bertkit alone does. `base` is the repository of the
    model that it began with, None where that was none of the Hub's. `chinese` says in which language examples are.
    """

    repo: str
    manifest: Mapping[str, Any]
    state: Mapping[str, Any]
    network: Mapping[str, Any]
    predictor: Mapping[str, Any] | None = None
    metrics: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    snippet: Sequence[str] = ()
    license: str | None = None
    language: str | None = None
    base: str | None = None
    chinese: bool = False


def render(facts: CardFacts) -> str:
    """The card's text. Strings that come from data are escaped; figures are those of the files, none is made up."""
    sections = (_what, _use, _training, _scores, _limits, _sources)
    body = "\n\n".join("\n".join(lines) for section in sections if (lines := list(section(facts))))
    head = yaml.safe_dump(_head(facts), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{body}\n"


def _head(facts: CardFacts) -> dict[str, Any]:
    head: dict[str, Any] = {
        "library_name": "transformers" if facts.snippet else "bertkit",
        "tags": ["bertkit", _backbone(facts)],
    }
    head["pipeline_tag"] = "fill-mask" if facts.predictor is None else _TAGS[facts.predictor["kind"]]
    if facts.language:
        head["language"] = facts.language
    if facts.license:
        head["license"] = facts.license
    if facts.base:
        head["base_model"] = facts.base
    if found := _on_the_hub(facts.predictor):
        head["datasets"] = [found["path"]]
    if results := [_result(one, facts.predictor) for one in facts.metrics]:
        head["model-index"] = [{"name": facts.repo.rpartition("/")[2], "results": results}]
    return head


def _backbone(facts: CardFacts) -> str:
    return "bert" if facts.predictor is None else str(facts.predictor["backbone"])


def _known(predictor: Mapping[str, Any] | None) -> KnownSet | None:
    return KNOWN.get((predictor or {}).get("origin", {}).get("dataset", ""))


def _on_the_hub(predictor: Mapping[str, Any] | None) -> Mapping[str, str]:
    """`path`, `name` and `revision` of the data set, as `datasets.load_dataset` takes them; empty where the Hub has none.

    Examples of a user's own that are merely called like a known set have none.
    """
    if named := (predictor or {}).get("origin", {}).get("hub"):
        return dict(named)
    known = _known(predictor)
    if known is None or known.hub is None:
        return {}
    named = {"path": known.hub.path, "name": known.hub.name, "revision": known.hub.revision}
    return {key: value for key, value in named.items() if value is not None}


def _result(scores: Mapping[str, Any], predictor: Mapping[str, Any] | None) -> dict[str, Any]:
    task, hub = scores["task"], _on_the_hub(predictor)
    given = {"name": task, "type": hub.get("path", task)}
    given |= {theirs: hub[ours] for ours, theirs in (("name", "config"), ("revision", "revision")) if ours in hub}
    if not hub or _as_published(scores, predictor):
        given["split"] = scores["split"]
    return {
        "task": {"type": _TAGS[scores["kind"]]},
        "dataset": given,
        "metrics": [
            {"type": name, "value": round(float(value), 6), "name": numbers.title(name)}
            for name, value in scores["metrics"].items()
            if value is not None
        ],
    }


def _as_published(scores: Mapping[str, Any], predictor: Mapping[str, Any] | None) -> bool:
    """Whether the split is known to be the published one of that name, and none that was cut off here."""
    known, note = _known(predictor), (predictor or {}).get("origin", {}).get("note")
    if known is None or note or known.test_percentage or "fold" in scores:
        return False
    return scores["split"] in known.files


def _what(facts: CardFacts) -> Iterator[str]:
    yield from (f"# {markdown(facts.repo.rpartition('/')[2])}", "")
    size = f"{numbers.count(facts.state['num_parameters'])} parameters"
    predictor = facts.predictor
    if predictor is None:
        yield f"A BERT of {_shape(facts.network)} ({size}), pretrained with bertkit."
    else:
        purpose = _PROBLEMS.get(predictor.get("problem_type", ""), _PURPOSES[predictor["kind"]])
        if len(predictor.get("text_columns", ())) > 1:
            purpose = purpose.replace("texts", "pairs of texts")
        known = _known(predictor)
        task = markdown(predictor["task"]) + (f" ({known.title})" if known else "")
        yield f"{markdown(predictor['name'])} ({size}), trained with bertkit to {purpose}, on {task}."
    if facts.base:
        yield f"It began with [{facts.base}](https://huggingface.co/{facts.base})."
    if labels := (predictor or {}).get("labels"):
        shown = ", ".join(markdown(str(label)) for label in labels[:50])
        yield from ("", f"Labels: {shown}{f' and {len(labels) - 50} more' if len(labels) > 50 else ''}.")


def _shape(network: Mapping[str, Any]) -> str:
    layers, heads = (numbers.plural(network[key], noun) for key, noun in _SHAPE)
    return f"{layers} of {network['hidden_size']} with {heads}"


def _use(facts: CardFacts) -> Iterator[str]:
    mask = facts.network.get("mask_token", "[MASK]")
    given = card_examples.texts(facts.predictor, chinese=facts.chinese, mask=mask)
    yield from ("## Use", "", "```python", "import bertkit", "", f'model = bertkit.load("{facts.repo}")')
    yield from (f"print({card_examples.call(facts.predictor, given)})", "```", "")
    if not facts.snippet:
        yield _why_bertkit_alone(facts.predictor or {})
        return
    yield from ("In transformers:", "", "```python", *facts.snippet, "```")
    if own := _bertkits_own(facts.predictor):
        yield from (
            "",
            f"That reads one window and gives the network's bare outputs; {' and '.join(own)} are bertkit's.",
        )


def _why_bertkit_alone(predictor: Mapping[str, Any]) -> str:
    if predictor["backbone"] != "bert":
        return "bertkit alone reads this folder: it is no model of transformers."
    pooled = (
        "windows pooled to one vector" if predictor["settings"].get("window_pooling") else "means of a word's pieces"
    )
    return f"bertkit alone gives these predictions: transformers has no class that reads {pooled}."


def _bertkits_own(predictor: Mapping[str, Any] | None) -> list[str]:
    """What bertkit makes of the outputs, and transformers does not."""
    if predictor is None:
        return []
    settings = predictor["settings"]
    of_kind: list[str] = {
        "spans": ["windows over long texts", "the search for the best span"],
        "tagging": ["windows over long texts", "one tag for each word"],
        "classification": [],
    }[predictor["kind"]]
    if settings.get("head") == "crf":
        of_kind.append("the scores of tags that follow each other (CRF)")
    if settings.get("tuned"):
        of_kind.append("tuned thresholds")
    return of_kind


def _training(facts: CardFacts) -> Iterator[str]:
    state, config = facts.state, facts.manifest["config"]
    yield from ("## Training", "", "| | value |", "|---|---|")
    examples = (facts.predictor or {}).get("examples")
    rows = {} if examples is None else {"training examples": numbers.count(examples)}
    rows |= {
        "steps": numbers.count(state["global_step"]),
        "passes over the data": numbers.number(state["epoch"]),
        "time": numbers.duration(state["train_seconds"]),
        "hardware": _hardware(state),
        "precision": state["mixed_precision"] if state["mixed_precision"] != "no" else "fp32",
    }
    if "data" in state:
        rows["tokens of training text"] = numbers.count(state["data"]["tokens"])
    if "num_hidden_layers" in facts.network:
        rows["network"] = f"BERT, {_shape(facts.network)}"
    rows |= {name: _shown(config[name]) for name in _SHOWN if config.get(name) is not None}
    if config.get("max_steps"):  # which ends the training, and not the epochs
        rows.pop("num_train_epochs", None)
    if (options := facts.network.get("options")) is not None:
        rows |= {name: _shown(value) for name, value in options.items() if value is not None}
    if 0 < (warmup := config.get("warmup_steps") or 0) < 1:
        rows["warmup_steps"] = f"{numbers.share(warmup)} of all"
    rows["versions"] = ", ".join(f"{name} {version}" for name, version in facts.manifest["versions"].items())
    yield from (f"| {markdown(name)} | {markdown(value)} |" for name, value in rows.items())
    if facts.predictor is None and (held_out := _last_measurement(state)):
        yield from ("", f"On held-out text: {held_out}.")


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _hardware(state: Mapping[str, Any]) -> str:
    processes = f"{state['num_processes']} process{'es' if state['num_processes'] > 1 else ''}"
    return (
        f"{state['device']}, {processes}"
        if state["device"] != "cpu"
        else f"CPU ({state['cpu_instructions']}), {processes}"
    )


def _last_measurement(state: Mapping[str, Any]) -> str:
    rows = [row for row in state.get("log_history", ()) if "eval_mlm_loss" in row]
    if not rows:
        return ""
    last = rows[-1]
    said = f"masked-LM loss {last['eval_mlm_loss']:.3f}, accuracy {last['eval_mlm_accuracy']:.1%}"
    return said + (f", next-sentence accuracy {last['eval_nsp_accuracy']:.1%}" if "eval_nsp_accuracy" in last else "")


def _scores(facts: CardFacts) -> Iterator[str]:
    if not facts.metrics:
        return
    yield from (
        "## Scores",
        "",
        "| task | split | rows | metric | score | 95 % interval |",
        "|---|---|---:|---|---:|---|",
    )
    for one in facts.metrics:
        for name, value in one["metrics"].items():
            if value is None:
                continue
            interval = one.get("intervals", {}).get(name)
            cells = (markdown(one["task"]), one["split"], numbers.count(one["n"]), numbers.title(name))
            ends = numbers.score_range(name, interval) if interval else numbers.MISSING
            yield f"| {' | '.join(cells)} | {numbers.score(name, value)}{numbers.unit(name)} | {ends} |"
    yield from ("", "Intervals are bootstrap percentiles over the rows of the split, for this seed alone.")
    if notes := [f"- {markdown(note)}" for one in facts.metrics for note in one.get("notes", ())]:
        yield from ("", *dict.fromkeys(notes))


def _limits(facts: CardFacts) -> Iterator[str]:
    yield from ("## Limits", "", f"- {_reach(facts)}")
    if not facts.metrics:
        yield "- No scores were published with it."
    yield "- It repeats what its training text says, also where that is wrong or unfair; check it on your own text."


def _reach(facts: CardFacts) -> str:
    predictor, longest = facts.predictor, facts.manifest["config"].get("max_seq_length")
    if predictor is None:
        steps = numbers.count(facts.state["global_step"])
        return f"It was trained for {steps} steps on sequences of up to {longest} tokens, and knows nothing else."
    if predictor["kind"] != "classification":
        return f"It reads {longest} tokens at once, longer texts in windows."
    settings = predictor["settings"]
    windows = (
        f"up to {settings['max_windows']} windows of {longest}"
        if settings.get("window_pooling")
        else f"the first {longest}"
    )
    gives = "a number" if predictor.get("problem_type") == "regression" else "one of its labels"
    if predictor.get("problem_type") == "multi_label_classification":
        gives = "its labels, or none,"
    return f"It reads {windows} tokens of a text and no more, and gives {gives} to any text."


def _sources(facts: CardFacts) -> Iterator[str]:
    yield from ("## Licence and sources", "")
    yield f"Licence: {markdown(facts.license)}." if facts.license else "No licence was chosen for these weights."
    if known := _known(facts.predictor):
        parts = [part.strip().rstrip(".") for part in (known.title, known.licence, known.citation) if part]
        yield from ("", "Data: " + " ".join(part if part.endswith("?") else f"{part}." for part in parts))
    elif found := _on_the_hub(facts.predictor):
        yield from (
            "",
            f"Data: {markdown(found['path'])} of the Hugging Face Hub, whose card says under which licence.",
        )
