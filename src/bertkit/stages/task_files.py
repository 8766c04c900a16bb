"""A user's own labelled files as a source, one class a format: which columns hold what, and how it is read."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bertkit.config import Config, runtime


def mistake(message: str) -> PydanticCustomError:
    """A value that a validator refuses, in our words alone."""
    return PydanticCustomError("task_data", "{message}", {"message": message})


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
            raise mistake("labels has none, or a name twice")
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

    unlabelled: list[str] = Field(default_factory=list)
    """Values of the label column that say that a row has none, such as `-1`, or `-` in SNLI; such rows are left out."""

    @model_validator(mode="after")
    def _labels_differ(self) -> "_OwnFiles":
        names = self.label_names or []
        if len(set(names)) != len(names):
            raise mistake("label_names has a name twice")
        several = self.columns.labels is not None or self.label_separator is not None
        if several and self.problem_type not in (None, "multi_label_classification"):
            raise mistake(f"columns.labels and label_separator give a text several labels, not {self.problem_type}")
        if self.columns.labels is not None and (self.label_separator or self.label_names):
            raise mistake("with columns.labels there is no label_separator and no label_names")
        if self.problem_type == "regression" and self.label_names:
            raise mistake("label_names has no meaning for regression")
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
            raise mistake("columns of this format go by name, not by number")
        return self


class JsonlSource(_NamedColumnsSource):
    """Files with one JSON object a line."""

    format: Literal["jsonl"]
    """Says what kind of files these are."""


class ParquetSource(_NamedColumnsSource):
    """Parquet files."""

    format: Literal["parquet"]
    """Says what kind of files these are."""


class FasttextSource(_OwnFiles):
    """Files with a text a line after its labels: `__label__NAME TEXT`."""

    format: Literal["fasttext"]
    """Says what kind of files these are."""

    @model_validator(mode="after")
    def _has_no_columns(self) -> "FasttextSource":
        if unread := sorted({"columns", "label_separator"} & self.model_fields_set):
            raise mistake(f"{' and '.join(unread)}: fastText's files have none")
        return self


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


class QuestionFiles(_Files):
    format: str
    """Says what kind of files these are."""

    repair_answers: bool = False
    """Move answers that are not at their offset to their nearest occurrence, and count them, instead of refusing them."""

    scorer: Literal["squad", "squad_v2", "cmrc"] | None = None
    """Whose exact match and F1 hold; by default squad_v2 where a question has no answer, else squad. cmrc is for Chinese."""

    def reading(self) -> dict[str, Any]:
        """What the reader of this format must know besides."""
        return {"format": self.format, "repair_answers": self.repair_answers, "scorer": self.scorer}


class SquadSource(QuestionFiles):
    """Files laid out like SQuAD's, 1.1 or 2.0."""

    format: Literal["squad"]
    """Says what kind of files these are."""


class _QuestionTable(QuestionFiles):
    columns: QuestionColumns = QuestionColumns()
    """The fields that hold question, context and answers."""

    def reading(self) -> dict[str, Any]:
        return {**super().reading(), "columns": self.columns.model_dump(exclude_none=True)}


class SpanJsonlSource(_QuestionTable):
    """Files with one JSON object a line: a question, its context, and the answers with their places in it."""

    format: Literal["span_jsonl"]
    """Says what kind of files these are."""


class SpanParquetSource(_QuestionTable):
    """Parquet files of questions, their contexts, and the answers with their places in them."""

    format: Literal["span_parquet"]
    """Says what kind of files these are."""


class TaggedFiles(_Files):
    scheme: Literal["iob1", "bio", "bioes", "bmes", "io", "token"] | None = None
    """How the tags write entities; found out when not given. Without prefixes neighbours with one tag are one entity in
    `io`, and each token is one in `token`: parts of speech, whose F1 is the accuracy of tokens."""

    repair_tags: bool = False
    """Read tags that break their scheme leniently, as conlleval does, and count them, instead of refusing them. Entities
    given by their places: leave out the shorter of two that overlap, and take words whole."""

    def reading(self) -> dict[str, Any]:
        """What the reader of this format must know besides."""
        return {"scheme": self.scheme, "repair_tags": self.repair_tags}


class ConllSource(TaggedFiles):
    """Column files of tagged tokens, a blank line after each sentence; gzip where the name ends in .gz."""

    format: Literal["conll"]
    """Says what kind of files these are."""

    columns: TokenColumns = TokenColumns()
    """The columns that hold token and tag."""

    comments: bool = False
    """Whether lines before a sentence that begin with `#` are none of its tokens, as CoNLL-U has them."""

    def reading(self) -> dict[str, Any]:
        return {**super().reading(), "comments": self.comments}


class TaggedColumnNames(Config):
    """Which fields hold what: tokens and tags, or text and label."""

    tokens: str = "tokens"
    """The list of tokens."""

    tags: str = "tags"
    """The list of their tags."""

    text: str | None = None
    """The text, where entities are given by their places in it."""

    label: str | None = None
    """The entities of the text: `[[start, end, "TYPE"], ...]` or `[{"start": , "end": , "label": }, ...]`, the end excluded,
    where tokens are words; or `{"TYPE": {"MENTION": [[start, end], ...]}}`, the end included, where they are characters."""

    @model_validator(mode="after")
    def _one_form(self) -> "TaggedColumnNames":
        if (self.text is None) != (self.label is None):
            raise mistake("text and label go together: the text, and its entities by their places")
        if self.text is not None and {"tokens", "tags"} & self.model_fields_set:
            raise mistake("either tokens and tags, or text and label")
        return self


class _TaggedTable(TaggedFiles):
    columns: TaggedColumnNames = TaggedColumnNames()
    """The fields that hold tokens and tags."""

    tag_names: list[str] | None = Field(None, min_length=2)
    """Where tags are numbers, number i is the i-th name, from 0; parquet files of the Hub say their names themselves."""

    def reading(self) -> dict[str, Any]:
        return {**super().reading(), "tag_names": self.tag_names}


class TaggedJsonlSource(_TaggedTable):
    """Files with one JSON object a line, of tokens and their tags."""

    format: Literal["tagged_jsonl"]
    """Says what kind of files these are."""


class TaggedParquetSource(_TaggedTable):
    """Parquet files of tokens and their tags."""

    format: Literal["tagged_parquet"]
    """Says what kind of files these are."""
