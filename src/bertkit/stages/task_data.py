"""The stage `task_data`: labelled texts, from a known set or a user's own files, as splits a model can be trained on."""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from bertkit.artifacts import TaskData
from bertkit.config import Config, Layer, build, runtime
from bertkit.errors import DataError
from bertkit.stage import stage
from bertkit.stages.task_files import QuestionFiles, TaggedFiles, mistake
from bertkit.stages.task_sources import HubSource, KnownSource, Source


class TaskDataConfig(Config):
    """Labelled texts, and how they are split."""

    source: Source
    """`{dataset: NAME}` for a known set, `{format: csv|tsv|jsonl|parquet, train: FILE, ...}` for your own files, or
    `{format: hub, path: NAME}` for any data set of the Hub."""

    name: str | None = Field(None, min_length=1)
    """What reports call the task; the set's name, or that of the training file, when not given."""

    validation_percentage: int = Field(10, ge=0, le=50)
    """How much of `train` becomes the validation split where there is none: of each label, type of entity, or tenth of
    the numbers, and of questions with and without an answer, the same share, by a hash of the texts."""

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
                raise mistake("must be such as 1/10, 2/10, ... 10/10")
        return fold

    @model_validator(mode="after")
    def _folds_hold_every_row(self) -> "TaskDataConfig":
        if self.fold is not None and self.max_eval_samples is not None:
            raise mistake("max_eval_samples leaves rows out, and the folds must hold every row once")
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
    if isinstance(source, HubSource):
        return []
    files = source.splits()
    for split, path in files.items():
        if not path.is_file():
            remedy = f"source.{split} must be a file; relative names start from {Path.cwd()}."
            raise DataError("no such file", where=str(path), remedy=remedy)
    return list(files.values())


def _known_files(name: str, data_dir: Path | None) -> list[Path]:
    from bertkit.data.task_catalogue import known_set, local_files

    if package := known_set(name).package:
        from bertkit.data.installed import identity_file

        return [identity_file(package)]
    if data_dir is None:
        return []
    return [path for files in local_files(known_set(name), data_dir.expanduser()).values() for _, path in files]


@stage("task_data", version=3, input_files=_input_files)
def task_data(config: TaskDataConfig, *, out: Path) -> TaskData:
    """Labelled texts in checked splits, every dropped row counted."""
    if isinstance(config.source, HubSource):
        from bertkit.stages.hub_tasks import fetched

        with fetched(config.source) as source:
            layer = config.model_dump(mode="json") | {"source": source}
            data = _prepared(build(TaskDataConfig, Layer(layer), name="task_data"))
        data.name = config.name or config.source.shown.rpartition("/")[2]
        data.source["from"] = f"Hugging Face Hub, {config.source.shown}"
        named = {"path": config.source.path, "name": config.source.name, "revision": config.source.revision}
        data.source["hub"] = {key: value for key, value in named.items() if value is not None}
    else:
        data = _prepared(config)
    data.write(out)
    return TaskData(out)


def _prepared(config: TaskDataConfig) -> Any:
    """The rows in splits that are fit to train on."""
    data = read_task(config)
    data.name = config.name or data.name
    if config.fold is not None:
        data.hold_out(*_parts(config.fold))
    data.prepare(
        validation_percentage=config.validation_percentage,
        max_train_samples=config.max_train_samples,
        max_eval_samples=config.max_eval_samples,
    )
    return data


def read_task(config: TaskDataConfig) -> Any:
    """The rows of every split as a `SplitData`, by the reader of their kind; a set of the Hub must have been fetched."""
    from bertkit.data.task_catalogue import known_set

    source = config.source
    if isinstance(source, HubSource):
        raise TypeError("a data set of the Hub is read from the files of `hub_tasks.fetched`")
    if isinstance(source, KnownSource):
        known = known_set(source.dataset)
        data_dir = config.data_dir.expanduser() if config.data_dir else None
        return _reader(known.kind).read_known(known.name, data_dir=data_dir, max_bad_rows=config.max_bad_rows)
    options = {"max_bad_rows": config.max_bad_rows, **source.reading()}
    if isinstance(source, QuestionFiles):
        return _reader("spans").read_files(source.splits(), **options)
    options |= {"format": source.format, "columns": source.columns.model_dump(exclude_none=True)}
    if isinstance(source, TaggedFiles):
        return _reader("tagging").read_files(source.splits(), **options)
    names = ("label_names", "problem_type", "label_separator", "unlabelled")
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
