"""The stage `task_data`: labelled texts, from a known set or a user's own files, as splits a model can be trained on."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bertkit.artifacts import TaskData
from bertkit.config import Config, runtime
from bertkit.errors import ConfigError, DataError
from bertkit.stage import stage


def _mistake(message: str) -> PydanticCustomError:
    """A value that a validator refuses, in our words alone."""
    return PydanticCustomError("task_data", "{message}", {"message": message})


class KnownSource(Config):
    """A labelled set that bertkit knows by name."""

    dataset: str
    """Its name: one of those in `data/classification_sets.py`, `data/tagging/catalogue.py`, ..., such as sst2."""

    @field_validator("dataset")
    @classmethod
    def _is_known(cls, name: str) -> str:
        from bertkit.data.task_catalogue import known_set

        try:
            return known_set(name).name
        except ConfigError as e:
            raise _mistake(f"{e.what}{'' if e.what.endswith('?') else '.'} {e.remedy}") from None


class ColumnNames(Config):
    """Which columns of a table hold what, by name, or by number from 1."""

    text: str | int = "text"
    """The text to classify."""

    text_pair: str | int | None = None
    """The second text, where pairs of texts are classified."""

    label: str | int = "label"
    """Its label."""

    labels: list[str] | dict[str, str | int] | None = None
    """In place of `label`, labels with a column each, which says 1 where the text has it and 0 where not: their names,
    or label to column."""

    @field_validator("labels")
    @classmethod
    def _by_label(cls, labels: list[str] | dict[str, str | int] | None) -> dict[str, str | int] | None:
        if labels is not None and len(set(labels)) < max(1, len(labels)):
            raise _mistake("labels has none, or a name twice")
        return {name: name for name in labels} if isinstance(labels, list) else labels

    def identity(self) -> dict[str, Any]:
        """Single texts have the identity they had before there were pairs."""
        return {role: column for role, column in super().identity().items() if column is not None}


class _Files(Config):
    """A user's own files, one a split. Their names and content decide, not where they lie."""

    train: Path = runtime(...)
    """The rows to train on."""

    validation: Path | None = runtime(None)
    """The rows to choose the best model by; without it `validation_percentage` of `train` is cut off."""

    test: Path | None = runtime(None)
    """The rows to report on."""

    def splits(self) -> dict[str, Path]:
        """The files that are given, by split."""
        given = {"train": self.train, "validation": self.validation, "test": self.test}
        return {split: path.expanduser() for split, path in given.items() if path is not None}

    def identity(self) -> dict[str, Any]:
        """Which file is which split decides the result, though where they lie does not."""
        return {**super().identity(), "files": {split: path.name for split, path in self.splits().items()}}

    def reading(self) -> dict[str, Any]:
        """What the reader of this format must know besides."""
        return {}


class _OwnFiles(_Files):
    columns: ColumnNames = ColumnNames()
    """The columns that hold text and label."""

    label_names: list[str] | None = Field(None, min_length=2)
    """The labels, in the order they are to have. Where the data has numbers instead, number i is the i-th, from 0."""

    problem_type: Literal["single_label_classification", "multi_label_classification", "regression"] | None = None
    """What labels are; when not given, several where they are lists (or `columns.labels` or `label_separator` say so),
    and else one, also where it looks like a number. Numbers to predict must be said to be: regression."""

    label_separator: str | None = Field(None, min_length=1)
    """What stands between the labels of a text that may have several."""

    @model_validator(mode="after")
    def _labels_differ(self) -> "_OwnFiles":
        names = self.label_names or []
        if len(set(names)) != len(names):
            raise _mistake("label_names has a name twice")
        several = self.columns.labels is not None or self.label_separator is not None
        if several and self.problem_type not in (None, "multi_label_classification"):
            raise _mistake(f"columns.labels and label_separator give a text several labels, not {self.problem_type}")
        if self.columns.labels is not None and (self.label_separator or self.label_names):
            raise _mistake("with columns.labels there is no label_separator and no label_names")
        if self.problem_type == "regression" and self.label_names:
            raise _mistake("label_names has no meaning for regression")
        return self


class _DelimitedSource(_OwnFiles):
    header: bool = True
    """Whether the first row names the columns; without one, columns go by number."""

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """What separates the columns; a comma in CSV and a tab in TSV when not given."""

    quoting: bool | None = None
    """Whether `"` around a value is not part of it; when not given, true for CSV and false for TSV."""

    encoding: Literal["utf-8", "latin-1", "cp1252", "gb18030"] = "utf-8"
    """How the files encode characters."""

    def reading(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("header", "delimiter", "quoting", "encoding")}


class CsvSource(_DelimitedSource):
    """Comma-separated files."""

    format: Literal["csv"]
    """Says what kind of files these are."""


class TsvSource(_DelimitedSource):
    """Tab-separated files, in which quotes are characters like any other."""

    format: Literal["tsv"]
    """Says what kind of files these are."""


class _NamedColumnsSource(_OwnFiles):
    @model_validator(mode="after")
    def _columns_have_names(self) -> "_NamedColumnsSource":
        given = self.columns.model_dump()
        names = [*given.values(), *(given.pop("labels") or {}).values()]
        if any(isinstance(column, int) for column in names):
            raise _mistake("columns of this format go by name, not by number")
        return self


class JsonlSource(_NamedColumnsSource):
    """Files with one JSON object a line."""

    format: Literal["jsonl"]
    """Says what kind of files these are."""


class ParquetSource(_NamedColumnsSource):
    """Parquet files."""

    format: Literal["parquet"]
    """Says what kind of files these are."""


class TokenColumns(Config):
    """Which columns of a CoNLL file hold what, by number from 1."""

    token: Annotated[int, Field(ge=1)] = 1
    """The tokens."""

    tag: Annotated[int, Field(ge=1)] | None = None
    """The tags; the last column when not given."""


class QuestionColumns(Config):
    """Which fields hold what."""

    question: str = "question"
    """The question."""

    context: str = "context"
    """The text that holds its answer."""

    answers: str = "answers"
    """Its answers: a list of `{"text", "answer_start"}`, or `{"text": [...], "answer_start": [...]}`; empty where it has
    none."""

    id: str | None = None
    """What the question is called; by default, its split and line."""


class _QuestionFiles(_Files):
    format: str
    """Says what kind of files these are."""

    repair_answers: bool = False
    """Move answers that are not at their offset to their nearest occurrence, and count them, instead of refusing them."""

    scorer: Literal["squad", "squad_v2", "cmrc"] | None = None
    """Whose exact match and F1 hold; by default squad_v2 where a question has no answer, else squad. cmrc is for Chinese."""

    def reading(self) -> dict[str, Any]:
        """What the reader of this format must know besides."""
        return {"format": self.format, "repair_answers": self.repair_answers, "scorer": self.scorer}


class SquadSource(_QuestionFiles):
    """Files laid out like SQuAD's, 1.1 or 2.0."""

    format: Literal["squad"]
    """Says what kind of files these are."""


class SpanJsonlSource(_QuestionFiles):
    """Files with one JSON object a line: a question, its context, and the answers with their places in it."""

    format: Literal["span_jsonl"]
    """Says what kind of files these are."""

    columns: QuestionColumns = QuestionColumns()
    """The fields that hold question, context and answers."""

    def reading(self) -> dict[str, Any]:
        return {**super().reading(), "columns": self.columns.model_dump(exclude_none=True)}


class _TaggedFiles(_Files):
    scheme: Literal["iob1", "bio", "bioes", "bmes"] | None = None
    """How the tags write entities; found out when not given."""

    repair_tags: bool = False
    """Read tags that break their scheme leniently, as conlleval does, and count them, instead of refusing them."""

    def reading(self) -> dict[str, Any]:
        """What the reader of this format must know besides."""
        return {"scheme": self.scheme, "repair_tags": self.repair_tags}


class ConllSource(_TaggedFiles):
    """Column files of tagged tokens, a blank line after each sentence; gzip where the name ends in .gz."""

    format: Literal["conll"]
    """Says what kind of files these are."""

    columns: TokenColumns = TokenColumns()
    """The columns that hold token and tag."""


class TaggedColumnNames(Config):
    """Which fields hold what: tokens and tags, or text and label."""

    tokens: str = "tokens"
    """The list of tokens."""

    tags: str = "tags"
    """The list of their tags."""

    text: str | None = None
    """The text, where entities are given by their places; its characters are the tokens."""

    label: str | None = None
    """The entities of the text: `{"TYPE": {"MENTION": [[start, end], ...]}}`, the end included."""

    @model_validator(mode="after")
    def _one_form(self) -> "TaggedColumnNames":
        if (self.text is None) != (self.label is None):
            raise _mistake("text and label go together: the text, and its entities by their places")
        if self.text is not None and {"tokens", "tags"} & self.model_fields_set:
            raise _mistake("either tokens and tags, or text and label")
        return self


class TaggedJsonlSource(_TaggedFiles):
    """Files with one JSON object a line, of tokens and their tags."""

    format: Literal["tagged_jsonl"]
    """Says what kind of files these are."""

    columns: TaggedColumnNames = TaggedColumnNames()
    """The fields that hold tokens and tags."""


def _kind(source: Any) -> str | None:
    """The tag of a source: its format, or `known` for a set with a name."""
    if isinstance(source, dict):
        return "known" if "dataset" in source else source.get("format")
    return "known" if isinstance(source, KnownSource) else getattr(source, "format", None)


Source = Annotated[
    Annotated[KnownSource, Tag("known")]
    | Annotated[CsvSource, Tag("csv")]
    | Annotated[TsvSource, Tag("tsv")]
    | Annotated[JsonlSource, Tag("jsonl")]
    | Annotated[ParquetSource, Tag("parquet")]
    | Annotated[ConllSource, Tag("conll")]
    | Annotated[TaggedJsonlSource, Tag("tagged_jsonl")]
    | Annotated[SquadSource, Tag("squad")]
    | Annotated[SpanJsonlSource, Tag("span_jsonl")],
    Discriminator(
        _kind,
        custom_error_type="source_kind",
        custom_error_message="must have dataset: NAME, or format: csv, tsv, jsonl, parquet, conll, tagged_jsonl, squad or span_jsonl",
    ),
]


class TaskDataConfig(Config):
    """Labelled texts, and how they are split."""

    source: Source
    """`{dataset: NAME}` for a known set, or `{format: csv|tsv|jsonl|parquet, train: FILE, ...}` for your own files."""

    name: str | None = Field(None, min_length=1)
    """What reports call the task; the set's name, or that of the training file, when not given."""

    validation_percentage: int = Field(10, ge=0, le=50)
    """How much of `train` becomes the validation split where there is none, by a hash of the texts."""

    max_train_samples: int | None = Field(None, ge=2)
    """Train on at most so many rows, chosen by a hash of their texts."""

    max_eval_samples: int | None = Field(None, ge=2)
    """Evaluate on at most so many rows a split, chosen the same way."""

    fold: str | None = Field(None, pattern=r"^[1-9][0-9]*/[1-9][0-9]*$")
    """For cross-validation, `3/10`: the rows of all splits are put together and cut into ten parts; the third is the
    test split, and the others are trained on. A pipeline's `folds: 10` runs all ten."""

    max_bad_rows: int = Field(0, ge=0)
    """How many unusable rows a split may have, dropped and counted by reason; one more stops the run."""

    data_dir: Path | None = runtime(None)
    """A directory with local copies of known sets, `DIR/NAME` each; without it they come from the Hugging Face Hub."""

    @field_validator("fold")
    @classmethod
    def _is_a_part(cls, fold: str | None) -> str | None:
        if fold is not None:
            number, count = _parts(fold)
            if count < 2 or number > count:
                raise _mistake("must be such as 1/10, 2/10, ... 10/10")
        return fold

    @model_validator(mode="after")
    def _folds_hold_every_row(self) -> "TaskDataConfig":
        if self.fold is not None and self.max_eval_samples is not None:
            raise _mistake("max_eval_samples leaves rows out, and the folds must hold every row once")
        return self

    def identity(self) -> dict[str, Any]:
        """Without folds, the identity is the one it was before there were any."""
        return {name: value for name, value in super().identity().items() if name != "fold" or value is not None}


def _parts(fold: str) -> tuple[int, int]:
    number, _, count = fold.partition("/")
    return int(number), int(count)


def _input_files(config: TaskDataConfig) -> list[Path]:
    """The files whose content decides the result; refuses those that are not there."""
    source = config.source
    if isinstance(source, KnownSource):
        return _known_files(source.dataset, config.data_dir)
    files = source.splits()
    for split, path in files.items():
        if not path.is_file():
            remedy = f"source.{split} must be a file; relative names start from {Path.cwd()}."
            raise DataError("no such file", where=str(path), remedy=remedy)
    return list(files.values())


def _known_files(name: str, data_dir: Path | None) -> list[Path]:
    from bertkit.data.task_catalogue import known_set, local_files

    if name == "bbc_topic":
        from bertkit.data.bbc import identity_file

        return [identity_file()]
    if data_dir is None:
        return []
    return [path for files in local_files(known_set(name), data_dir.expanduser()).values() for _, path in files]


@stage("task_data", version=2, input_files=_input_files)
def task_data(config: TaskDataConfig, *, out: Path) -> TaskData:
    """Labelled texts in checked splits, every dropped row counted."""
    data = read_task(config)
    data.name = config.name or data.name
    if config.fold is not None:
        data.hold_out(*_parts(config.fold))
    data.prepare(
        validation_percentage=config.validation_percentage,
        max_train_samples=config.max_train_samples,
        max_eval_samples=config.max_eval_samples,
    )
    data.write(out)
    return TaskData(out)


def read_task(config: TaskDataConfig) -> Any:
    """The rows of every split as a `SplitData`, by the reader of their kind."""
    from bertkit.data.task_catalogue import known_set

    source = config.source
    if isinstance(source, KnownSource):
        known = known_set(source.dataset)
        data_dir = config.data_dir.expanduser() if config.data_dir else None
        return _reader(known.kind).read_known(known.name, data_dir=data_dir, max_bad_rows=config.max_bad_rows)
    options = {"max_bad_rows": config.max_bad_rows, **source.reading()}
    if isinstance(source, _QuestionFiles):
        return _reader("spans").read_files(source.splits(), **options)
    options |= {"format": source.format, "columns": source.columns.model_dump(exclude_none=True)}
    if isinstance(source, _TaggedFiles):
        return _reader("tagging").read_files(source.splits(), **options)
    names = ("label_names", "problem_type", "label_separator")
    options |= {name: getattr(source, name) for name in names}
    return _reader("classification").read_files(source.splits(), **options)


def _reader(kind: str) -> Any:
    """The module that reads sets of a kind: `read_known`, and `read_files` for a user's own."""
    from importlib import import_module

    return import_module(
        {
            "classification": "bertkit.data.tasks",
            "tagging": "bertkit.data.tagging.task",
            "spans": "bertkit.data.spans.task",
        }[kind]
    )
