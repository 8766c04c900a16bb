"""SQuAD's JSON (1.1, 2.0, and what is laid out alike) to questions, each answer checked against its context."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertkit import storage
from bertkit.data.task_examples import Tally, drop
from bertkit.errors import DataError

WRONG_OFFSET = "answer is not at answer_start"
NO_CONTEXT = "no context"
NO_QUESTION = "no question"
NO_ANSWER = "no answer"
BAD_ANSWER = "answer is not text and offset"
CONTRADICTION = "is_impossible with answers"
REPEATED = "id stands twice"
NOT_TEXT = "not text"

MOVED = "answer moved to where it stands"
NOWHERE = "answer that stands nowhere in its context"

_LAYOUT = 'Write {"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers"}]}]}]}.'


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a context; `answers` are `{"text", "answer_start"}` in characters, none where there is no answer.

    An answer that stands nowhere in the context has the start -1: one can score by it, not learn from it.

    `where` is `file#/pointer`, the file by name alone.
    """

    id: str
    question: str
    context: str
    answers: list[dict[str, Any]]
    title: str
    where: str

    @property
    def content(self) -> str:
        """What splits are cut by: questions about one context are never parted."""
        return self.context


class _UnusableError(Exception):
    def __init__(self, reason: str, what: str, remedy: str | None = None) -> None:
        super().__init__(what)
        self.reason, self.what, self.remedy = reason, what, remedy


def read_squad(
    path: Path, *, tally: Tally, max_bad_rows: int = 0, repair: bool = False, seen: set[str] | None = None
) -> Iterator[Question]:
    """The questions of a file.

    Args:
        tally: counts questions that are read, dropped and changed.
        repair: move an answer that is not at its offset to its nearest occurrence in the context, or where there is none,
            keep it for scoring alone; both are counted.
        seen: ids of other files of the same split, which must not stand again.

    Raises:
        DataError: the file is not laid out like SQuAD's, or has more than `max_bad_rows` unusable questions.
    """
    seen = set() if seen is None else seen
    for pointer, title, context, entry in _entries(path):
        tally.read += 1
        try:
            question = _question(entry, context, title, f"{path.name}#{pointer}", tally, repair=repair)
            if question.id in seen:
                raise _UnusableError(REPEATED, f"the id {question.id!r} stands twice")
        except _UnusableError as e:
            drop(tally, e.reason, DataError(e.what, where=f"{path}#{pointer}", remedy=e.remedy), max_bad_rows)
            continue
        seen.add(question.id)
        yield question


def _entries(path: Path) -> Iterator[tuple[str, str, Any, Any]]:
    """JSON pointer, title, context and entry of each question."""
    for i, article in enumerate(_list(_load(path), "data", f"{path}#")):
        title = article.get("title") if isinstance(article, dict) else None
        for j, paragraph in enumerate(_list(article, "paragraphs", f"{path}#/data/{i}")):
            pointer = f"/data/{i}/paragraphs/{j}"
            for k, entry in enumerate(_list(paragraph, "qas", f"{path}#{pointer}")):
                yield f"{pointer}/qas/{k}", title if isinstance(title, str) else "", paragraph.get("context"), entry


def _load(path: Path) -> Any:
    with storage.reporting_os_errors(path, "read"):
        content = path.read_bytes()
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as e:
        raise DataError(f"not UTF-8: {e.reason} at byte {e.start:,}", where=str(path)) from None
    except (ValueError, RecursionError) as e:
        raise DataError(f"not JSON: {e}", where=str(path), remedy=_LAYOUT) from None


def _list(holder: Any, name: str, where: str) -> list[Any]:
    if not isinstance(holder, dict) or not isinstance(holder.get(name), list):
        raise DataError(f"has no list {name!r}", where=where, remedy=_LAYOUT)
    found: list[Any] = holder[name]
    return found


def _question(entry: Any, context: Any, title: str, where: str, tally: Tally, *, repair: bool) -> Question:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str | int):
        raise _UnusableError(NO_QUESTION, "has no id")
    if context is None or (isinstance(context, str) and not context.strip()):
        raise _UnusableError(NO_CONTEXT, "the paragraph has no context")
    question = entry.get("question")
    if question is None or (isinstance(question, str) and not question.strip()):
        raise _UnusableError(NO_QUESTION, "has no question")
    for name, text in (("context", context), ("question", question)):
        _check_text(name, text)
    answers = entry.get("answers") or []
    impossible = entry.get("is_impossible", None)
    if impossible and answers:
        raise _UnusableError(CONTRADICTION, "is_impossible is true, and there are answers")
    if not impossible and not answers:
        remedy = "A question without answer has is_impossible: true."
        raise _UnusableError(NO_ANSWER, "has no answers", remedy)
    checked = [_answer(answer, context, tally, repair=repair) for answer in answers]
    return Question(str(entry["id"]), question, context, checked, title, where)


def _check_text(name: str, text: Any) -> None:
    if not isinstance(text, str):
        raise _UnusableError(NOT_TEXT, f"the {name} is {str(text)[:60]!r}, a {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as e:
        raise _UnusableError(
            NOT_TEXT, f"the {name} has half a character (lone surrogate) at character {e.start:,}"
        ) from None


def _answer(answer: Any, context: str, tally: Tally, *, repair: bool) -> dict[str, Any]:
    text, start = (answer.get(name) for name in ("text", "answer_start")) if isinstance(answer, dict) else (None, None)
    if not isinstance(text, str) or isinstance(start, bool) or not isinstance(start, int):
        raise _UnusableError(BAD_ANSWER, f"the answer is {str(answer)[:80]}", 'Give {"text", "answer_start"}.')
    if not text.strip():
        raise _UnusableError(BAD_ANSWER, "an answer is empty")
    if start >= 0 and context[start : start + len(text)] == text:
        return {"text": text, "answer_start": start}
    if repair:
        place = _nearest(context, text, start)
        tally.changed[MOVED if place is not None else NOWHERE] += 1
        return {"text": text, "answer_start": -1 if place is None else place}
    there = context[max(0, start) : max(0, start) + len(text)]
    raise _UnusableError(
        WRONG_OFFSET,
        f"answer_start {start} is {there[:60]!r}, not {text[:60]!r}"
        + ("" if text in context else ", which stands nowhere in the context"),
        "Correct answer_start (it counts characters), or say source.repair_answers=true: answers are moved to their nearest "
        "occurrence, and those without one are used for scoring alone; both are counted.",
    )


def _nearest(context: str, text: str, start: int) -> int | None:
    """The occurrence of `text` that begins nearest to `start`."""
    start = min(max(start, 0), len(context))
    before, after = context.rfind(text, 0, start + len(text)), context.find(text, start)
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: abs(place - start)) if places else None
