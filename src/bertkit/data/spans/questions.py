"""Questions about contexts, each answer checked against the place where it is said to stand."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertkit.data.tables.rows import BadRow
from bertkit.data.task_examples import Tally, drop
from bertkit.data.task_labels import UnusableError, refuse_surrogates
from bertkit.errors import DataError

WRONG_OFFSET = "answer is not at answer_start"
NO_CONTEXT = "no context"
NO_QUESTION = "no question"
NO_ID = "no id"
NO_ANSWER = "no answer"
BAD_ANSWER = "answer is not text and offset"
CONTRADICTION = "is_impossible with answers"
NOT_A_FLAG = "is_impossible is not true or false"
REPEATED = "id stands twice"
NOT_TEXT = "not text"

MOVED = "answer moved to where it stands"
NOWHERE = "answer that stands nowhere in its context"

_UNANSWERABLE = "A question without answer says so: is_impossible: true, or in JSON lines an empty list of answers."
_EXAMPLES = 5
_ANY_NUMBER = 2**63


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a context; `answers` are `{"text", "answer_start"}` in characters, none where there is no answer.

    An answer that stands nowhere in the context has the start -1: one can score by it, not learn from it. `where` is
    `file#/pointer` or `file:line`, the file by name alone.
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


@dataclass(frozen=True, slots=True)
class Entry:
    """A question as a file has it, unchecked; `place` is its pointer or line, with the sign before it.

    `may_lack`: whether a question without answers is one that has none, also where nothing else says so.
    """

    place: str
    id: Any
    question: Any
    context: Any
    answers: Any
    title: Any = ""
    impossible: Any = None
    may_lack: bool = False


def read_questions(
    path: Path,
    entries: Iterable[Entry | BadRow],
    *,
    tally: Tally,
    max_bad_rows: int = 0,
    repair: bool = False,
    seen: set[str] | None = None,
) -> Iterator[Question]:
    """The questions of a file.

    Args:
        tally: counts questions that are read, dropped and changed.
        max_bad_rows: how many may be unusable, counted over all calls with this `tally`.
        repair: move an answer that is not at its offset to its nearest occurrence in the context, or where there is none,
            keep it for scoring alone; both are counted.
        seen: ids of other files of the same split, which must not stand again.

    Raises:
        DataError: more are unusable, with their count by reason and examples, once the file is read to its end.
    """
    seen = set() if seen is None else seen
    for entry in entries:
        tally.read += 1
        if isinstance(entry, BadRow):
            drop(tally, entry.reason, entry.error, _ANY_NUMBER)
            continue
        try:
            question, changes = _question(entry, f"{path.name}{entry.place}", repair=repair)
            if question.id in seen:
                raise UnusableError(REPEATED, f"the id {question.id!r} stands twice")
        except UnusableError as e:
            drop(tally, e.reason, DataError(e.what, where=f"{path}{entry.place}", remedy=e.remedy), _ANY_NUMBER)
            continue
        seen.add(question.id)
        tally.changed.update(changes)
        yield question
    if tally.bad > max_bad_rows:
        raise _too_many(path, tally, max_bad_rows)


def _too_many(path: Path, tally: Tally, max_bad_rows: int) -> DataError:
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in tally.dropped.most_common())
    examples = "".join(f"\n  {error.where}: {error.what}" for error in tally.errors[:_EXAMPLES])
    remedies = dict.fromkeys(error.remedy for error in tally.errors if error.remedy)
    allow = (
        f"max_bad_rows={max_bad_rows} allows no more." if max_bad_rows else "Or drop and count some: max_bad_rows=N."
    )
    return DataError(
        f"{tally.bad:,} of {tally.read:,} questions cannot be used ({reasons}):{examples}",
        where=str(path),
        remedy=" ".join([*list(remedies)[:2], allow]),
    )


def _question(entry: Entry, where: str, *, repair: bool) -> tuple[Question, list[str]]:
    """The question, and what was changed about its answers."""
    if isinstance(entry.id, bool) or not isinstance(entry.id, str | int) or entry.id == "":
        raise UnusableError(NO_ID, "has no id")
    _check_text(str(entry.id), "id", NO_ID)
    context, question = entry.context, entry.question
    _check_text(context, "context", NO_CONTEXT)
    _check_text(question, "question", NO_QUESTION)
    answers = [] if entry.answers is None else entry.answers
    if not isinstance(answers, list):
        raise UnusableError(BAD_ANSWER, f"answers is a {type(answers).__name__}", 'Give [{"text", "answer_start"}].')
    if entry.impossible not in (None, True, False):
        raise UnusableError(NOT_A_FLAG, f"is_impossible is {str(entry.impossible)[:60]!r}", "Write true or false.")
    if entry.impossible and answers:
        raise UnusableError(CONTRADICTION, "is_impossible is true, and there are answers")
    if not answers and not entry.impossible and not entry.may_lack:
        raise UnusableError(NO_ANSWER, "has no answers", _UNANSWERABLE)
    checked = [_answer(answer, context, repair=repair) for answer in answers]
    changes = [change for _, change in checked if change is not None]
    title = entry.title if isinstance(entry.title, str) else ""
    refuse_surrogates(title, "title")
    return Question(str(entry.id), question, context, [answer for answer, _ in checked], title, where), changes


def _check_text(text: Any, name: str, missing: str) -> None:
    if text is None:
        raise UnusableError(missing, f"has no {name}")
    if not isinstance(text, str):
        raise UnusableError(NOT_TEXT, f"the {name} is {str(text)[:60]!r}, a {type(text).__name__}")
    if not text.strip():
        raise UnusableError(missing, f"the {name} is empty")
    refuse_surrogates(text, name)


def _answer(answer: Any, context: str, *, repair: bool) -> tuple[dict[str, Any], str | None]:
    """The answer, and what was changed."""
    text, start = (answer.get(name) for name in ("text", "answer_start")) if isinstance(answer, dict) else (None, None)
    if not isinstance(text, str) or isinstance(start, bool) or not isinstance(start, int):
        raise UnusableError(BAD_ANSWER, f"the answer is {str(answer)[:80]!r}", 'Give {"text", "answer_start"}.')
    if not text.strip():
        raise UnusableError(BAD_ANSWER, "an answer is empty")
    refuse_surrogates(text, "answer")
    if start >= 0 and context.startswith(text, start):
        return {"text": text, "answer_start": start}, None
    if repair:
        place = _nearest(context, text, start)
        return {"text": text, "answer_start": -1 if place is None else place}, NOWHERE if place is None else MOVED
    there = context[max(0, start) : max(0, start) + len(text)]
    raise UnusableError(
        WRONG_OFFSET,
        f"at answer_start {start} stands {there[:60]!r}, not {text[:60]!r}"
        + ("" if text in context else ", which stands nowhere in the context"),
        "Correct answer_start (it counts characters), or say source.repair_answers=true: answers are moved to their nearest "
        "occurrence, and those without one are used for scoring alone; both are counted.",
    )


def _nearest(context: str, text: str, start: int) -> int | None:
    """The occurrence of `text` that begins nearest to `start`, the earlier of two as near."""
    start = min(max(start, 0), len(context))
    before, after = context.rfind(text, 0, start + len(text)), context.find(text, start)
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: abs(place - start)) if places else None
