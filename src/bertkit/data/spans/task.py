"""Span tasks: from known sets or a user's files to splits of questions and what is known of them."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bertkit.data.spans.json_lines import line_entries
from bertkit.data.spans.questions import Question, read_questions
from bertkit.data.spans.squad import squad_entries
from bertkit.data.split_data import SplitData, described
from bertkit.data.task_catalogue import known_set, local_files
from bertkit.data.task_examples import Tally
from bertkit.errors import DataError

Format = Literal["squad", "span_jsonl"]
Scorer = Literal["squad", "squad_v2", "cmrc"]


@dataclass
class SpanData(SplitData[Question]):
    """Questions, their contexts and answers; `scorer` names whose definition of EM and F1 holds."""

    scorer: Scorer = "squad"

    def check(self, *, carved: bool) -> None:
        if not any(question.answers for question in self.splits["train"]):
            raise DataError("train has no question with an answer")

    def details(self) -> dict[str, Any]:
        return {
            "kind": "spans",
            "scorer": self.scorer,
            "unanswerable": {split: sum(not q.answers for q in questions) for split, questions in self.splits.items()},
            "contexts": {split: len({q.context for q in questions}) for split, questions in self.splits.items()},
            "characters": {split: _lengths([len(q.context) for q in qs]) for split, qs in self.splits.items()},
            "overlap": self._overlap(),
        }

    def _overlap(self) -> dict[str, int]:
        trained = {question.context for question in self.splits["train"]}
        return {
            f"{split}_contexts_in_train": len({q.context for q in self.splits[split]} & trained)
            for split in ("validation", "test")
            if split in self.splits
        }

    def columns(self, items: Sequence[Question]) -> Mapping[str, Sequence[Any]]:
        return {name: [getattr(item, name) for item in items] for name in _COLUMNS}

    def schema(self) -> Any:
        import pyarrow as pa

        answers = pa.list_(pa.struct([("text", pa.string()), ("answer_start", pa.int32())]))
        return pa.schema([(name, answers if name == "answers" else pa.string()) for name in _COLUMNS])


_COLUMNS = ("id", "question", "context", "answers", "title", "where")


def read_files(
    files: Mapping[str, Path],
    *,
    format: Format = "squad",
    columns: Mapping[str, str] | None = None,
    repair_answers: bool = False,
    scorer: Scorer | None = None,
    max_bad_rows: int = 0,
) -> SpanData:
    """A user's own files, one a split.

    Args:
        columns: of `span_jsonl`, the fields that hold `question`, `context`, `answers` and, where there is one, `id`.
        repair_answers: move answers that are not at their offset, as of `read_questions`.
        scorer: by default `squad_v2` where a question has no answer, else `squad`.

    Raises:
        DataError: a file cannot be used, or a split has more than `max_bad_rows` unusable questions.
    """
    data = SpanData(files["train"].stem, {}, {}, {"format": format, "files": {}}, "f1")
    for split, path in files.items():
        tally = data.tallies.setdefault(split, Tally())
        entries = squad_entries(path) if format == "squad" else line_entries(path, columns=columns or {}, prefix=split)
        questions = read_questions(path, entries, tally=tally, max_bad_rows=max_bad_rows, repair=repair_answers)
        data.splits[split] = list(questions)
        data.source["files"][split] = [described(path)]
    unanswerable = any(not q.answers for questions in data.splits.values() for q in questions)
    data.scorer = scorer or ("squad_v2" if unanswerable else "squad")
    return data


def read_known(name: str, *, data_dir: Path | None = None, max_bad_rows: int = 0) -> SpanData:
    """A known set: its published files below `data_dir/NAME`; answers are moved where the published offsets are known to be wrong.

    Raises:
        DataError: the files are not given, not there, or have more than `max_bad_rows` unusable questions a split.
    """
    known = known_set(name)
    names: dict[str, list[dict[str, str]]] = {}
    source = {
        "dataset": name,
        "title": known.title,
        "licence": known.licence,
        "citation": known.citation,
        "files": names,
    }
    data = SpanData(name, {}, {}, source, known.primary, scorer=known.scorer)  # type: ignore[arg-type]
    if data_dir is None:
        remedy = f"Give the folder above theirs: --data-dir DIR (DIR/{known.folder or name})."
        raise DataError(f"{name} is read from its published files", remedy=remedy)
    for split, files in local_files(known, data_dir).items():
        tally, seen = data.tallies.setdefault(split, Tally()), set[str]()
        for _, path in files:
            bad = max_bad_rows + known.bad_rows
            repair = known.wrong_offsets
            questions = read_questions(
                path, squad_entries(path), tally=tally, max_bad_rows=bad, repair=repair, seen=seen
            )
            data.splits.setdefault(split, []).extend(questions)
            names.setdefault(split, []).append(described(path))
    return data


def _lengths(values: Sequence[int]) -> dict[str, float]:
    return {"median": statistics.median(values), "max": max(values)}
