"""Where a task's rows come from: a known set, or a user's own files of some format."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from bertkit.config import Config
from bertkit.errors import ConfigError
from bertkit.stages.task_files import (
    ConllSource,
    CsvSource,
    FasttextSource,
    JsonlSource,
    ParquetSource,
    SpanJsonlSource,
    SpanParquetSource,
    SquadSource,
    TaggedJsonlSource,
    TaggedParquetSource,
    TsvSource,
    mistake,
)


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
            raise mistake(f"{e.what}{'' if e.what.endswith('?') else '.'} {e.remedy}") from None


class HubSource(Config):
    """Any data set of the Hugging Face Hub: labelled texts, tagged tokens or questions, which its columns tell."""

    format: Literal["hub"]
    """Says what kind of source this is."""

    path: str
    """Its name on the Hub, as in `datasets.load_dataset`."""

    name: str | None = None
    """Its configuration, as in `datasets.load_dataset`."""

    revision: str | None = None
    """A commit, branch or tag; without one, what the Hub has when the stage runs first."""

    train: str | None = None
    """What it calls the split to train on, if not `train`."""

    validation: str | None = None
    """What it calls the split to choose the best model by, if not `validation`, `dev` or `valid`."""

    test: str | None = None
    """What it calls the split to report on, if not `test`. A split in which every label is -1 is left out."""

    columns: dict[str, Any] | None = None
    """Which columns hold what, as for parquet files; those of common names are found."""

    options: dict[str, Any] = Field(default_factory=dict)
    """What else a source of parquet files may say: `problem_type`, `label_names`, `unlabelled`, `scheme`, `scorer`, ..."""

    @property
    def shown(self) -> str:
        """What errors and reports call it."""
        return self.path if self.name is None else f"{self.path}/{self.name}"

    def splits(self) -> dict[str, str]:
        """The splits that are named, by ours."""
        given = {"train": self.train, "validation": self.validation, "test": self.test}
        return {ours: theirs for ours, theirs in given.items() if theirs is not None}


def _kind(source: Any) -> str | None:
    """The tag of a source: its format, or `known` for a set with a name."""
    if isinstance(source, dict):
        return "known" if "dataset" in source else source.get("format")
    return "known" if isinstance(source, KnownSource) else getattr(source, "format", None)


Source = Annotated[
    Annotated[KnownSource, Tag("known")]
    | Annotated[HubSource, Tag("hub")]
    | Annotated[CsvSource, Tag("csv")]
    | Annotated[TsvSource, Tag("tsv")]
    | Annotated[JsonlSource, Tag("jsonl")]
    | Annotated[ParquetSource, Tag("parquet")]
    | Annotated[FasttextSource, Tag("fasttext")]
    | Annotated[ConllSource, Tag("conll")]
    | Annotated[TaggedJsonlSource, Tag("tagged_jsonl")]
    | Annotated[SquadSource, Tag("squad")]
    | Annotated[SpanJsonlSource, Tag("span_jsonl")]
    | Annotated[TaggedParquetSource, Tag("tagged_parquet")]
    | Annotated[SpanParquetSource, Tag("span_parquet")],
    Discriminator(
        _kind,
        custom_error_type="source_kind",
        custom_error_message="must have dataset: NAME, or format: csv, tsv, jsonl, parquet, fasttext, conll, tagged_jsonl, "
        "tagged_parquet, squad, span_jsonl, span_parquet or hub",
    ),
]
