"""A model card from what a model's folder and its scores say: Markdown below a head of YAML, as the Hub reads it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from bertkit.data.task_catalogue import KNOWN
from bertkit.reporting import numbers
from bertkit.reporting.visible_text import markdown

_TAGS = {"classification": "text-classification", "tagging": "token-classification", "spans": "question-answering"}
_EXAMPLES = {
    "tagging": '["Ada Lovelace met Charles Babbage in London."]',
    "spans": '[{"question": "Where did they meet?", "context": "Ada Lovelace met Charles Babbage in London."}]',
}
# What of a run's config a reader asks for first; the manifest beside the card has all of it.
_SHOWN = (
    *("seed", "train_batch_size", "learning_rate", "lr_scheduler_type", "warmup_steps", "optim", "weight_decay"),
    *(
        "max_seq_length",
        "num_train_epochs",
        "dropout",
        "objective",
        "mlm_probability",
        "mask_strategy",
        "max_grad_norm",
    ),
)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card is made of.

    `predictor` is None for a pretrained model. `metrics` are contents of `metrics.json`. `snippet` is
    the code by which transformers reads the folder, empty where bertkit alone does.
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
    known = [KNOWN[one["task"]].hub for one in facts.metrics if one["task"] in KNOWN]
    if sets := [hub.path for hub in known if hub is not None]:
        head["datasets"] = list(dict.fromkeys(sets))
    if results := [_result(one) for one in facts.metrics]:
        head["model-index"] = [{"name": facts.repo.rpartition("/")[2], "results": results}]
    return head


def _backbone(facts: CardFacts) -> str:
    return "bert" if facts.predictor is None else str(facts.predictor["backbone"])


def _set_id(task: str) -> str:
    hub = KNOWN[task].hub
    return hub.path if hub is not None else task


def _result(scores: Mapping[str, Any]) -> dict[str, Any]:
    task = scores["task"]
    given = {"name": task, "type": _set_id(task) if task in KNOWN else task, "split": scores["split"]}
    return {
        "task": {"type": _TAGS[scores["kind"]]},
        "dataset": given,
        "metrics": [
            {"type": name, "value": round(float(value), 6), "name": numbers.title(name)}
            for name, value in scores["metrics"].items()
            if value is not None
        ],
    }


def _what(facts: CardFacts) -> Iterator[str]:
    yield f"# {markdown(facts.repo.rpartition('/')[2])}"
    yield ""
    size = f"{numbers.count(facts.state['num_parameters'])} parameters"
    if facts.predictor is None:
        layers, width = facts.network["num_hidden_layers"], facts.network["hidden_size"]
        yield f"A BERT of {layers} layers of {width} ({size}), pretrained with bertkit."
        return
    task, kind = markdown(facts.predictor["task"]), facts.predictor["kind"]
    yield f"{markdown(facts.predictor['name'])}, trained with bertkit for {kind} on {task} ({size})."
    if labels := facts.predictor.get("labels"):
        shown = ", ".join(markdown(str(label)) for label in labels[:50])
        yield f"Labels: {shown}{f' and {len(labels) - 50} more' if len(labels) > 50 else ''}."


def _use(facts: CardFacts) -> Iterator[str]:
    yield from ("## Use", "", "```python", "import bertkit", "", f'model = bertkit.load("{facts.repo}")')
    if facts.predictor is None:
        mask = facts.network.get("mask_token", "[MASK]")
        yield f'print(model.fill("The capital of France is {mask}."))'
    else:
        pair = len(facts.predictor.get("text_columns", ())) > 1
        texts = '[["A first text.", "A second text."]]' if pair else '["A text to classify."]'
        yield f"print(model.predict({_EXAMPLES.get(facts.predictor['kind'], texts)}))"
    yield "```"
    if facts.snippet:
        yield from ("", "```python", *facts.snippet, "```")
    else:
        yield from ("", "bertkit alone loads this folder: it is no model of transformers.")


def _training(facts: CardFacts) -> Iterator[str]:
    state, config = facts.state, facts.manifest["config"]
    yield from ("## Training", "", "| | |", "|---|---|")
    rows = {
        "steps": numbers.count(state["global_step"]),
        "passes over the data": numbers.number(state["epoch"]),
        "time": numbers.duration(state["train_seconds"]),
        "hardware": f"{state['device']} ({state['cpu_instructions']}), {numbers.plural(state['num_processes'], 'process')}"
        if state["device"] == "cpu"
        else f"{state['device']}, {numbers.plural(state['num_processes'], 'process')}",
        "precision": state["mixed_precision"] if state["mixed_precision"] != "no" else "fp32",
    }
    if "data" in state:
        rows["tokens of training text"] = numbers.count(state["data"]["tokens"])
    rows |= {name: str(config[name]) for name in _SHOWN if config.get(name) is not None}
    rows["versions"] = ", ".join(f"{name} {version}" for name, version in facts.manifest["versions"].items())
    yield from (f"| {markdown(name)} | {markdown(value)} |" for name, value in rows.items())
    if facts.predictor is None and (held_out := _last_measurement(state)):
        yield from ("", f"On held-out text: {held_out}.")


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
            yield f"| {' | '.join(cells)} | {numbers.score(name, value)} | {ends} |"
    yield from ("", "Intervals are bootstrap percentiles over the rows of the split, for this seed alone.")
    yield from (f"- {markdown(note)}" for one in facts.metrics for note in one.get("notes", ()))


def _limits(facts: CardFacts) -> Iterator[str]:
    yield from ("## Limits", "")
    longest = facts.manifest["config"].get("max_seq_length")
    if facts.predictor is None:
        yield f"It was trained on {numbers.count(facts.state['global_step'])} steps of text of up to {longest} tokens, and knows no more."
    elif facts.predictor["kind"] == "classification":
        yield f"It reads the first {longest} tokens of a text unless it reads in windows; it gives one of its labels to any text."
    else:
        yield f"It reads {longest} tokens at once, longer texts in windows."
    if not facts.metrics:
        yield "No scores were published with it."
    yield "It repeats what its training text says, also where that is wrong or unfair; check it on your own text."


def _sources(facts: CardFacts) -> Iterator[str]:
    names = [one["task"] for one in facts.metrics]
    if facts.predictor is not None:
        names.append(facts.predictor["task"])
    known = [KNOWN[name] for name in dict.fromkeys(names) if name in KNOWN]
    yield from ("## Licence and sources", "")
    yield f"Licence: {markdown(facts.license)}." if facts.license else "No licence was chosen for these weights."
    for one in known:
        yield f"- {markdown(one.title)}. {markdown(one.licence)} {markdown(one.citation)}"
