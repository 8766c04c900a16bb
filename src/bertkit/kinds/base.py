"""What finetune, evaluate and predict ask of every kind of task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from bertkit.data.encoded import EncodedRows
from bertkit.kinds.inputs import read_texts
from bertkit.models.objective import TaskObjective
from bertkit.models.sources import ModelSource
from bertkit.training.prediction import Outputs

Row = dict[str, Any]
Prediction = dict[str, Any]


class Kind(ABC):
    """One kind of task.

    `task` is the content of `task.json`, or that of a model's `predictor.json`, which repeats the keys in
    `task_keys`. `settings` are plain JSON values, such as `max_seq_length` and the kind's own block of finetune's
    config; a model keeps them, and under `tuned` what was chosen on the validation split. `where` names the folder in
    errors.
    """

    name: ClassVar[str]
    task_keys: ClassVar[tuple[str, ...]] = ("labels",)
    """What of `task.json` a model depends on: data that differs in it is not the model's."""
    words_are_given: ClassVar[bool] = False
    """Whether `texts` are single words."""

    def __init__(self, task: Mapping[str, Any], settings: Mapping[str, Any], *, where: str) -> None:
        self.task, self.settings, self.where = task, settings, where

    @property
    def columns(self) -> tuple[str, ...]:
        """The texts of a row, in the order in which the model reads them; two must be told apart by segment."""
        return ("text",)

    def as_row(self, given: Any, number: int) -> Row:
        """What a user asks about, as a row without gold: a string, a sequence or a mapping of `columns`.

        Its `id` is the mapping's own, else `number`, which also names it in errors.

        Raises:
            DataError: it is not what the model reads.
        """
        return {"id": str(number), **read_texts(given, self.columns, number)}

    @abstractmethod
    def encode(self, folder: Path, rows: Sequence[Row]) -> EncodedRows:
        """Rows with the tokenizer in `folder`; they need no labels where nothing is to be learnt."""

    def texts(self, row: Row) -> list[str]:
        """What of a row is read as a text of its own."""
        return [row[column] for column in self.columns]

    @abstractmethod
    def new_objective(self, source: ModelSource, loss: Mapping[str, Any]) -> TaskObjective:
        """The model to train, made from `source`; `loss` is finetune's block of that name."""

    @abstractmethod
    def load_objective(self, folder: Path) -> TaskObjective:
        """A trained model, complete."""

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The figures of a log row from the objective's sums."""
        return {"loss": sums["loss"] / sums["count"]}

    @abstractmethod
    def predictions(self, outputs: Sequence[Outputs], encoded: EncodedRows, rows: Sequence[Row]) -> list[Prediction]:
        """The lines of `predictions.jsonl`, one a row of the task: id, gold where there is one, predicted, scores."""

    def made_right(self, prediction: Prediction) -> Prediction:
        """A line that says what its gold says."""
        return {**prediction, "predicted": prediction["gold"]}

    def tuned(self, chosen: Mapping[str, Any]) -> Self:
        """The same with what `tune` chose."""
        return type(self)(self.task, {**self.settings, "tuned": dict(chosen)}, where=self.where)

    def tune(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """What to choose on the validation split and keep with the model, such as thresholds."""
        return {}

    @abstractmethod
    def score(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        """`n`, `metrics` (name to number, None where undefined), and what else reports show of this kind."""

    @abstractmethod
    def score_intervals(self, predictions: Sequence[Prediction], *, count: int) -> dict[str, list[float] | None]:
        """The percentile bootstrap interval [low, high] of metrics, from `count` resamples."""

    def counts(self, encoded: EncodedRows) -> dict[str, int]:
        """What encoding did to the rows, such as `truncated`."""
        return {}

    def notes(self, counts: Mapping[str, int], rows: int) -> list[str]:
        """What a reader of the scores must be told of `counts`, in sentences."""
        return []
