"""`report.md` from `report.json`: the same content as the page in GitHub Markdown, without pictures."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bertkit.reporting import (
    attention_picture,
    data_tables,
    detail_views,
    learning_curve,
    marked_text,
    mistakes,
    numbers,
    overview,
    pipeline_picture,
    plots,
    reproduction,
    score_tables,
    training_curves,
    vector_views,
)
from bertkit.reporting.table import Column, Row, Table
from bertkit.reporting.visible_text import markdown

Report = Mapping[str, Any]


def render(report: Report) -> str:
    """The Markdown of a report that `collect` made. The same report gives the same bytes."""
    wrong = [block for task in report["tasks"] for block in (*_mistakes(task), *_attention(task))]
    blocks = [
        f"# {markdown(report['title'])}",
        *_head(report),
        "## Scores",
        *_table(overview.table(report)),
        *(block for task in report["tasks"] for block in _scores(task)),
        *_pretraining(report),
        *_training(report),
        *_vectors(report),
        *(["## Where it goes wrong", *wrong] if wrong else []),
        "## What was read, kept and dropped",
        *_data(report["data"]),
        "## How it was made",
        *_table(pipeline_picture.table(report)),
        *_table(data_tables.made(report)),
        *_table(score_tables.fine_tuning(report)),
        *_commands(report),
    ]
    return "\n\n".join(blocks) + "\n"


def _head(report: Report) -> Iterable[str]:
    for task in report["tasks"]:
        for headline in task["headlines"]:
            yield f"**{markdown(headline['claim'])}**"
            yield markdown(headline["detail"])
        for warning in task["warnings"]:
            yield f"> **Mind:** {markdown(warning)}"


def _scores(task: Report) -> Iterable[str]:
    yield from _table(score_tables.scores(task))
    yield from _table(score_tables.comparisons(task))
    yield from _table(learning_curve.table(task))
    yield from _table(score_tables.all_metrics(task))


def _pretraining(report: Report) -> Iterable[str]:
    for run in report["pretraining"]:
        yield f"## Pretraining {markdown(run['fingerprint'])}"
        if run["missing"]:
            yield f"No curves: {markdown(run['missing'])}."
            continue
        facts = (
            f"{numbers.count(run['global_step'])} steps",
            f"{numbers.size(run['num_parameters'])} parameters",
            f"{numbers.size(run['tokens_per_second'])} tokens a second",
            numbers.duration(run["train_seconds"]),
        )
        yield ", ".join(facts) + "."
        for chart in run["charts"]:
            loss = ", training loss" if chart["key"].endswith("loss") else ""
            yield f"{markdown(chart['title'])}{loss}: {plots.sparkline(chart['smoothed'] or chart['raw'])}"
        yield from _table(score_tables.measurements(run))


def _training(report: Report) -> Iterable[str]:
    found = training_curves.groups(report)
    if found:
        yield "## Fine-tuning"
    for _, drawn in found:
        for plot in drawn:
            yield from _plot(plot)


def _vectors(report: Report) -> Iterable[str]:
    if report["vectors"]:
        yield "## Word vectors"
    for view in report["vectors"]:
        yield from _table(vector_views.table(view))


def _commands(report: Report) -> Iterable[str]:
    found = reproduction.commands(report)
    if found:
        yield "**Commands that make each result again, in this order**"
        # As code, so that it can be copied as it is; no text can end a fence that is longer than its own.
        text = "\n".join(f"# {' '.join(name.split())}\n{line}" for name, line in found)
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        yield f"{fence}sh\n{text}\n{fence}"


def _mistakes(task: Report) -> Iterable[str]:
    systems = task["systems"]
    for system in dict.fromkeys((0, len(systems) - 1)):
        yield from _confusion(task, systems[system])
        yield from _table(score_tables.per_type(task, systems[system]))
    for table in (detail_views.shown(task), *detail_views.folded(task)):
        yield from _table(table)
    for plot in detail_views.plots(task):
        yield from _plot(plot)
    found = task["mistakes"]
    if not found:
        return
    wrong = numbers.plural(found["in_all"], numbers.item(task["kind"]))
    some = f" with every seed, {numbers.count(found['in_some'])} with some" if found["seeds"] > 1 else ""
    yield f"{markdown(found['model'])} got {wrong} of {numbers.count(found['examples'])} wrong{some}."
    if found["texts_missing"]:
        yield f"Texts are not shown: {markdown(found['texts_missing'])}."
    columns = [Column(title, False) for title in ("id", "predicted", "gold", "text")]
    columns[2:2] = [Column("sure"), Column("seeds")]
    rows = [
        Row(
            [
                one["id"],
                ", ".join([one["predicted"], *one["also_predicted"]]),
                numbers.share(one["probability"]),
                f"{one['wrong_in']} of {found['seeds']}",
                one["gold"],
                _mistaken_text(one),
            ]
        )
        for one in found["shown"]
    ]
    if rows:
        yield from _table(Table(f"{task['name']}: the most confident mistakes", columns, rows))


def _attention(task: Report) -> Iterable[str]:
    """What each word looks at most, where the page has pictures."""
    found = task["attention"]
    for view in found["views"] if found else ():
        yield f"**What {markdown(found['model'])} looks at in {markdown(view['id'])}**"
        yield "\n".join(f"- {markdown(line)}" for line in attention_picture.in_words(view))


def _mistaken_text(one: Report) -> str:
    """The text of a mistake, with what is gold and what was said in brackets, and the answers that came next."""
    if not one["pieces"]:
        return numbers.MISSING if one["text"] is None else str(one["text"])
    parts = [one["question"] or "", marked_text.in_brackets(one["pieces"])]
    if one["n_best"]:
        ranked = (f"{other['text']} {numbers.share(other['probability'])}" for other in one["n_best"])
        parts.append("Ranked: " + ", ".join(ranked))
    return " ⏎ ".join(part for part in parts if part)


def _confusion(task: Report, system: Report) -> Iterable[str]:
    counts, labels = system["confusion"], task["labels"]
    if not counts:
        return
    if len(labels) > mistakes.MOST_MATRIX_LABELS:
        yield from _table(score_tables.confusion_pairs(task, system, mistakes.confusions(counts, labels)))
        return
    seeds = len(system["seeds"])
    caption = f"{system['model']}: gold (rows) by predicted (columns){f', mean of {seeds} seeds' if seeds > 1 else ''}"
    rows = [Row([label, *(numbers.count(round(n, 1)) for n in row)]) for label, row in zip(labels, counts, strict=True)]
    yield from _table(Table(caption, [Column("gold", False), *map(Column, labels)], rows))


def _data(data: Report) -> Iterable[str]:
    for make, key in (
        (data_tables.corpus, "corpora"),
        (data_tables.task_rows, "tasks"),
        (data_tables.tokenizer, "tokenizers"),
        (data_tables.token_store, "token_stores"),
    ):
        for one in data[key]:
            yield from _table(make(one))
    if not any(data.values()):
        yield "The report was given none of this."


def _table(table: Table | None) -> Iterable[str]:
    """A caption, the table, and its notes as a list."""
    if table is None:
        return
    yield f"**{markdown(table.caption)}**"
    head = _line(column.title for column in table.columns)
    rule = "| " + " | ".join("---:" if column.numeric else "---" for column in table.columns) + " |"
    yield "\n".join([head, rule, *(_line(row.cells) for row in table.rows)])
    if table.notes:
        yield "\n".join(f"- {markdown(note)}" for note in table.notes)


def _plot(plot: plots.Plot) -> Iterable[str]:
    """A plot's title, the shape of each line, and its notes."""
    yield f"**{markdown(plot.model)}: {markdown(plot.title)}** ({markdown(plot.y.title)} over {markdown(plot.x.title)})"
    lines = [f"{line.name}: {plots.sparkline(line.points)}" for line in plot.lines]
    if facts := [*lines, *plot.notes]:
        yield "\n".join(f"- {markdown(fact)}" for fact in facts)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(markdown(str(cell)) for cell in cells) + " |"
