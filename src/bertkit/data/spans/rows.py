"""Tables with a row a question to questions: the form in which the Hub's data sets are exported."""

from collections.abc import Iterable, Iterator
from typing import Any

from bertkit.data.spans.questions import Entry
from bertkit.data.tables.rows import BadRow, Row


def row_entries(rows: Iterable[Row | BadRow], *, prefix: str) -> Iterator[Entry | BadRow]:
    """The questions of a table.

    Args:
        rows: with `question`, `context` and `answers`, which is a list of `{"text", "answer_start"}` or, as the Hub has
            it, `{"text": [...], "answer_start": [...]}`; an empty one says that there is no answer. `id` may be among them.
        prefix: stands before the row's number where there is no `id`.
    """
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        values = row.values
        yield Entry(
            f":{row.number}",
            id=values.get("id", f"{prefix}:{row.number}"),
            question=values["question"],
            context=values["context"],
            answers=listed_answers(values["answers"]),
            may_lack=isinstance(values["answers"], list | dict),
        )


def listed_answers(value: Any) -> Any:
    """The Hub's two lists as one list of answers; anything else as it is."""
    if not isinstance(value, dict):
        return value
    texts, starts = value.get("text"), value.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        return [value]
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
