"""bertkit from Python: a trained folder in one line, and a fine-tuned model with its scores in another."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bertkit import baselines, hub, storage
from bertkit.artifacts import Artifact, Checkpoint, Metrics, Model, TaskData, WordVectors
from bertkit.config import Layer, build, fingerprint, merge
from bertkit.data.file_formats import detect_format, guess_source, kind_of_format
from bertkit.errors import ConfigError, DataError, StageError
from bertkit.predictor import Given, Predictor
from bertkit.stage import Stage
from bertkit.stages.finetune_config import FinetuneConfig

if TYPE_CHECKING:
    from bertkit.embedder import Embedder, Pooling
    from bertkit.evaluation.word_vectors import Lexicon
    from bertkit.mask_filler import Candidate, MaskFiller

Kind = Literal["classification", "tagging", "spans"]
Examples = Any
"""A file, a DataFrame, or rows: mappings, or in classification also sequences of texts and a label."""


class LoadedModel:
    """A folder in use; what is asked of it decides what is read of it.

    model = bertkit.load("artifacts/latest/quickstart/topic_bert")
    model.predict(["The striker scored twice.", "Shares fell on Monday."])
    """

    def __init__(
        self, folder: Path, *, device: Literal["auto", "cpu", "cuda"] = "auto", num_threads: int | None = None
    ) -> None:
        self.folder, self.device, self.num_threads = folder, device, num_threads
        self._embedder: tuple[Any, Embedder] | None = None

    def predict(self, given: Given | Iterable[Given], *, batch_size: int | None = None) -> list[dict[str, Any]]:
        """A prediction for each of the inputs, in their order; a string alone is one input.

        Raises:
            StageError: the folder holds no fine-tuned model.
            DataError: an input is not what the model reads, with its number from 1.
        """
        inputs: Any = [given] if isinstance(given, str | Mapping) else given
        return self._predictor.predict(inputs, batch_size=batch_size)

    def stream(self, given: Iterable[Given], *, batch_size: int | None = None) -> Iterator[dict[str, Any]]:
        """As `predict`, for more inputs than fit into memory."""
        return self._predictor.stream(given, batch_size=batch_size)

    def embed(
        self,
        texts: str | Iterable[Given],
        *,
        pooling: "Pooling" = "mean",
        layer: int = -1,
        max_seq_length: int | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Vectors of texts, from any BERT, as an array (texts, width); see `Embedder`.

        Raises:
            StageError: the folder holds no BERT.
            DataError: an input is no text, with its number from 1.
        """
        from bertkit.embedder import Embedder

        options = (pooling, layer, max_seq_length)
        if self._embedder is None or self._embedder[0] != options:
            made = Embedder(
                self.folder,
                pooling=pooling,
                layer=layer,
                max_seq_length=max_seq_length,
                device=self.device,
                num_threads=self.num_threads,
            )
            self._embedder = options, made
        return self._embedder[1].embed([texts] if isinstance(texts, str) else texts, batch_size=batch_size)

    def fill(self, texts: str | Iterable[Given], *, top_k: int = 5) -> "list[list[list[Candidate]]]":
        """The likeliest tokens for each [MASK] of each text, from a pretrained model; see `MaskFiller.fill`."""
        return self._filler.fill([texts] if isinstance(texts, str) else texts, top_k=top_k)

    def nearest(self, words: str | Iterable[str], *, top_k: int = 10) -> list[list[tuple[str, float]]]:
        """For each word the words whose vectors are nearest to its own, by cosine, from a folder of word vectors.

        Raises:
            StageError: the folder holds no word vectors.
            DataError: a word has none.
        """
        from bertkit.reporting.vector_views import nearest

        found = []
        for word in [words] if isinstance(words, str) else words:
            if (place := self._lexicon.find(word)) is None:
                raise DataError(f"{word!r} has no vector", where=str(self.folder))
            near = nearest(self._lexicon.units, place, count=top_k)
            found.append([(self._lexicon.words[row], cosine) for row, cosine in near])
        return found

    @cached_property
    def _lexicon(self) -> "Lexicon":
        from bertkit.evaluation.word_vectors import Lexicon

        return Lexicon(*WordVectors.open(self.folder).read())

    @cached_property
    def _filler(self) -> "MaskFiller":
        from bertkit.mask_filler import MaskFiller

        return MaskFiller(self.folder, device=self.device, num_threads=self.num_threads)

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor.load(self.folder, device=self.device, num_threads=self.num_threads)


@dataclass(frozen=True)
class Finetuned:
    """What `finetune` made: `scores` and `intervals` of `split`, each of its `predictions`, and the model.

    `folder` holds everything, as stages write it; `metrics` is the whole of `metrics.json`.
    """

    folder: Path
    split: str
    primary: str
    scores: dict[str, float]
    intervals: dict[str, list[float] | None]
    # A notebook shows the scores, not a prediction for every text.
    metrics: dict[str, Any] = field(repr=False)
    predictions: list[dict[str, Any]] = field(repr=False)
    wrong: list[dict[str, Any]] = field(repr=False)
    model: LoadedModel = field(repr=False)


def load(
    folder: str | Path,
    *,
    revision: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    num_threads: int | None = None,
) -> LoadedModel:
    """The model in a folder, or in a repository of the Hugging Face Hub, `user/name` or `user/name@revision`.

    Raises:
        StageError: there is no such folder.
        HostError: the Hub cannot be reached, or has no such repository.
    """
    path = hub.folder_of(folder, revision=revision)
    if not path.is_dir():
        remedy = "Give a folder that finetune, pretrain or word2vec wrote, or USER/NAME on the Hub."
        raise StageError("no such directory", where=str(folder), remedy=remedy)
    return LoadedModel(path, device=device, num_threads=num_threads)


def finetune(
    kind: Kind,
    *,
    train: Examples,
    dev: Examples | None = None,
    test: Examples | None = None,
    model: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    source: Mapping[str, Any] | None = None,
    name: str | None = None,
    max_bad_rows: int = 0,
    **config: Any,
) -> Finetuned:
    """Train a model on labelled examples and score it on `test`, else on `dev`, else on a tenth of `train`.

        result = bertkit.finetune("classification", train="train.csv", test="test.csv", model="bert-folder")
        result.scores["accuracy"], result.wrong[:3], result.model.predict(["..."])

    Args:
        train, dev, test: examples as rows, a DataFrame (pandas, polars, datasets) or a file of any format of task_data:
            `text`, `label` (and `text_pair`); `tokens`, `tags`; `question`, `context`, `answers`. Names that others use
            are found out.
        model: a pretrained BERT, its folder or `user/name` on the Hub; or a baseline, by the name of its preset (bag,
            textcnn, rnn, lstm, gru, transformer) or as finetune's block `model`: `{"backbone": "rnn", "rnn": {...}}`.
        out: where data, model and predictions are kept; the same call again finds them there. By default a new
            temporary folder.
        source: what task_data's `source` is to have beside what is found out, such as `{"columns": {"text": "review"}}`.
        max_bad_rows: how many unusable examples a split may have, dropped and counted by reason.
        config: options of the stage finetune, nested ones as dictionaries: `learning_rate=3e-5, tagging={"head": "crf"}`.

    Raises:
        ConfigError: an option that there is not, or examples of another kind.
        DataError: examples that cannot be used, with their place.
    """
    from bertkit.stages.evaluate import evaluate
    from bertkit.stages.finetune import finetune as train_stage
    from bertkit.stages.task_data import task_data

    start: dict[str, Artifact] = {}
    if isinstance(model, Mapping) or model in baselines.BASELINES:
        config = merge(Layer(baselines.config_of(model)), Layer(config)).data
    else:
        start["start"] = Checkpoint.open(hub.folder_of(model))
    build(FinetuneConfig, Layer(config), name="finetune")  # a mistake in it should not wait for the data
    root = storage.temporary_directory() if out is None else storage.make_directory(Path(out).expanduser())
    given = {"train": train, "validation": dev, "test": test}
    files = {split: _as_file(one, split, root / "given") for split, one in given.items() if one is not None}
    options = {"source": _source(kind, files, source or {}), "max_bad_rows": max_bad_rows}
    options |= {"name": name} if name else {}
    data = TaskData(_run(task_data, options, root).path)
    trained = Model(_run(train_stage, config, root, data=data, **start).path)
    runtime: dict[str, Any] = {key: config[key] for key in ("device", "num_threads") if key in config}
    metrics = Metrics(_run(evaluate, runtime, root, model=trained, data=data).path)
    found, predictions = metrics.read_json("metrics.json"), metrics.predictions()
    rows = {row["id"]: row for row in data.rows(found["split"])}
    return Finetuned(
        folder=root,
        split=found["split"],
        primary=found["primary"],
        scores={key: value for key, value in found["metrics"].items() if value is not None},
        intervals=found["intervals"],
        metrics=found,
        predictions=predictions,
        wrong=[{**rows[line["id"]], **line} for line in predictions if _is_wrong(line, found)],
        model=LoadedModel(trained.path, **runtime),
    )


def _run(stage: Stage, options: Mapping[str, Any], root: Path, **inputs: Artifact) -> Artifact:
    """The stage's result, in the place under `root` that its content names."""
    config = build(stage.config, Layer(dict(options)), name=stage.name)
    names: dict[str, Any] = {port: one.fingerprint for port, one in inputs.items()}
    identity = stage.identity(config, names, storage.Digests())
    return stage.run(config, inputs, root / stage.name / fingerprint(identity), identity)


def _source(kind: Kind, files: Mapping[str, Path], source: Mapping[str, Any]) -> dict[str, Any]:
    """A `source` of task_data for the files, of the kind asked for."""
    found = guess_source(files["train"], dict(source), {})
    if (other := kind_of_format(found["format"])) != kind:
        raise ConfigError(
            f"holds examples of {other}, not of {kind}",
            where=str(files["train"]),
            remedy=f'Call finetune("{other}", ...), or name format and columns in source={{...}}.',
        )
    for split, path in files.items():
        if path.suffix != files["train"].suffix and (own := detect_format(path)) != found["format"]:
            what = f"{split} is {own}, train is {found['format']}"
            raise ConfigError(what, where=str(path), remedy="Give all splits as rows, or as files of one format.")
    return found | {split: str(path) for split, path in files.items()}


def _as_file(examples: Examples, split: str, folder: Path) -> Path:
    """The file that holds the examples: a user's own as it is, others are written down.

    Raises:
        DataError: they are no examples.
    """
    if isinstance(examples, str | Path):
        return Path(examples).expanduser().absolute()
    rows = iter([_as_row(one, split, number) for number, one in enumerate(_records(examples), 1)])
    path = storage.make_directory(folder) / f"{split}.jsonl"
    if (first := next(rows, None)) is None:
        raise DataError(f"{split} has no examples")
    storage.write_json_lines(path, chain([first], rows))
    return path


def _records(examples: Examples) -> Iterable[Any]:
    """Rows of a DataFrame of pandas or polars, or what iterates."""
    if hasattr(examples, "to_dicts"):
        return list(examples.to_dicts())
    if hasattr(examples, "to_dict") and hasattr(examples, "columns"):
        return list(examples.to_dict("records"))
    if not isinstance(examples, Iterable) or isinstance(examples, Mapping):
        raise DataError(f"examples are {type(examples).__name__}", remedy="Give a file, a DataFrame or a list of rows.")
    return examples


def _as_row(one: Any, split: str, number: int) -> dict[str, Any]:
    match one:
        case Mapping():
            return {str(key): _plain(value) for key, value in one.items()}
        case (str() as text, label):
            return {"text": text, "label": _plain(label)}
        case (str() as text, str() as pair, label):
            return {"text": text, "text_pair": pair, "label": _plain(label)}
        case (list() as tokens, list() as tags):
            return {"tokens": tokens, "tags": tags}
    raise DataError(
        f"is {one!r:.80}",
        where=f"{split}, example {number}",
        remedy='Give a mapping such as {"text": ..., "label": ...}, or a text and its label.',
    )


def _plain(value: Any) -> Any:
    """What tables hold as JSON has it: numpy's numbers and arrays as Python's, a missing value as None, a date as text."""
    value = value.tolist() if hasattr(value, "tolist") else value
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [_plain(one) for one in value]
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
    return None if str(value) in ("nan", "<NA>", "NaT") else str(value)


def _is_wrong(line: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    """Whether a prediction is not its gold; a number is never quite right, so none of those is called wrong."""
    gold, predicted = line["gold"], line["predicted"]
    if metrics.get("problem_type") == "regression":
        return False
    if metrics["kind"] == "spans":
        return not _answers(predicted, gold, metrics)
    if isinstance(gold, list) and metrics["kind"] == "classification":
        return set(gold) != set(predicted)
    return bool(gold != predicted)


def _answers(predicted: str, gold: list[str], metrics: Mapping[str, Any]) -> bool:
    from bertkit.evaluation.spans import answer_scores

    exact, _ = answer_scores(metrics["scorer"])(predicted, gold)
    return exact == 1
