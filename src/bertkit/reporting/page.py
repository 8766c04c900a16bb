"""`report.html` from `report.json`: one file, no script, nothing loaded from anywhere."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from bertkit.reporting import (
    attention,
    attention_picture,
    data_tables,
    detail_views,
    figures,
    learning_curve,
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
from bertkit.reporting.visible_text import visible


def render(report: Mapping[str, Any]) -> str:
    """The page of a report that `collect` made. The same report gives the same bytes."""
    return template("page.html.j2").render(report=report) + "\n"


def template(name: str) -> Template:
    """A template that escapes whatever it prints."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    """Every value is escaped, and its control characters are spelled out, wherever a template prints one."""
    environment = Environment(
        loader=PackageLoader("bertkit.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.globals |= {
        "score_tables": score_tables,
        "data_tables": data_tables,
        "attention": attention,
        "attention_picture": attention_picture,
        "detail_views": detail_views,
        "figures": figures,
        "learning_curve": learning_curve,
        "pipeline_picture": pipeline_picture,
        "plots": plots,
        "reproduction": reproduction,
        "training_curves": training_curves,
        "vector_views": vector_views,
        "mistakes": mistakes,
        "overview": overview,
        "numbers": numbers,
        "matrix": matrix,
    }
    return environment


def _finalize(value: Any) -> Any:
    return value if isinstance(value, Markup) else visible(str(value))


def matrix(task: Mapping[str, Any], system: Mapping[str, Any]) -> dict[str, Any] | None:
    """A confusion matrix's cells with their share of the row; None where there is none or it would be too large."""
    counts, labels = system["confusion"], task["labels"]
    if not counts or len(labels) > mistakes.MOST_MATRIX_LABELS:
        return None
    rows = []
    for i, (label, row) in enumerate(zip(labels, counts, strict=True)):
        total = sum(row)
        cells = [
            {
                "text": numbers.count(round(value, 1)),
                "share": round(value / total, 3) if total else 0,
                "kind": "right" if i == j else "wrong" if value else "zero",
            }
            for j, value in enumerate(row)
        ]
        rows.append({"label": label, "cells": cells, "recall": _percent(row[i], total)})
    return {
        "labels": labels,
        "rows": rows,
        "precision": [_percent(counts[j][j], sum(row[j] for row in counts)) for j in range(len(labels))],
        "upright": sum(len(str(label)) for label in labels) > 36,
    }


def _percent(part: float, whole: float) -> str:
    return numbers.score("accuracy", part / whole if whole else None)
