"""A trained folder in use: texts in, predictions out."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from bertkit import storage
from bertkit.artifacts import Model
from bertkit.errors import DataError, NumericError, StageError
from bertkit.kinds import kind_of
from bertkit.kinds.base import Kind
from bertkit.kinds.inputs import in_chunks
from bertkit.models.objective import TaskObjective
from bertkit.training import processes
from bertkit.training.loop import to_tensors
from bertkit.training.prediction import predict_outputs

Given = str | Sequence[Any] | Mapping[str, Any]

_TOLERANCE = 1e-4  # of exported logits

_CHUNK = 1024  # inputs encoded at once: enough to sort by length, few enough to stream


class Predictor:
    """A fine-tuned model of any kind.

        model = Predictor.load(Path("artifacts/latest/quickstart/topic_bert"))
        model.predict(["The striker scored twice.", "Shares fell on Monday."])

    What it is given, and the lines that it gives, are its kind's: see `Kind.as_row` and `Kind.predictions`.
    """

    def __init__(self, kind: Kind, objective: TaskObjective, folder: Path, device: Any) -> None:
        self.kind, self._objective, self._folder, self._device = kind, objective, folder, device

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        num_threads: int | None = None,
        onnx: Path | None = None,
    ) -> Self:
        """The model that `finetune` wrote into `folder`; with `onnx`, a file of `export_onnx`, computed by onnxruntime.

        Raises:
            StageError: it holds no finished model.
            HostError: there is no such device, or onnxruntime is not installed.
        """
        if (folder / "config.json").is_file() and not (folder / "predictor.json").is_file():
            raise StageError(
                "is a pretrained model: it has no head that predicts",
                where=str(folder),
                remedy="Fine-tune one from it: bertkit run pipelines/finetune.yaml, or bertkit.finetune(..., model=FOLDER).",
            )
        facts = Model.open(folder).read_json("predictor.json")
        kind = kind_of(facts, facts["settings"], where=str(folder))
        threads = processes.pin_threads(num_threads, 1)
        if onnx is not None:
            from bertkit.models.onnx_graph import OnnxObjective

            with storage.reporting_os_errors(onnx, "read"):
                graph = onnx.read_bytes()
            return cls(kind, OnnxObjective(kind.load_objective(folder), graph, num_threads=threads), folder, "cpu")
        where = processes.make_accelerator(device, "no").device
        return cls(kind, kind.load_objective(folder).to(where), folder, where)

    def predict(self, given: Iterable[Given], *, batch_size: int | None = None) -> list[dict[str, Any]]:
        """A prediction for each of the inputs, in their order."""
        return list(self.stream(given, batch_size=batch_size))

    def stream(self, given: Iterable[Given], *, batch_size: int | None = None) -> Iterator[dict[str, Any]]:
        """As `predict`, reading ahead no further than some thousand inputs.

        Raises:
            DataError: an input is not what the model reads, with its number from 1; those before it were given.
        """
        for rows in in_chunks(given, self.kind.as_row, size=_CHUNK):
            encoded = self.kind.encode(self._folder, rows)
            outputs = predict_outputs(self._objective, encoded, device=self._device, batch_size=batch_size)
            yield from self.kind.predictions(outputs, encoded, rows)

    def export_onnx(self, out: Path) -> float:
        """Write the model as an ONNX graph; returns how far its logits are from torch's, at most, over several shapes.

        The file holds network and head; tags and thresholds are made of its logits by `load(folder, onnx=out)`.

        Raises:
            StageError: the network is recurrent.
            NumericError: the graph computes something else; nothing was written.
            HostError: a package of the extra `onnx` is not installed.
        """
        from bertkit.models.onnx_graph import export_graph, largest_difference

        objective = self._objective.cpu().eval()
        long = 2 * self.kind.settings["max_seq_length"]  # several windows, where texts are read in windows
        example, *others = [self._example(sizes) for sizes in ((3, 9, long), (2,), (5, 60), (40, 1, 12, 7, 25))]
        graph = export_graph(objective, example)
        found = largest_difference(objective, graph, [example, *others])
        if not found <= _TOLERANCE:
            raise NumericError(f"the graph's logits are {found:.2g} from torch's", remedy="Nothing was written.")
        storage.write_bytes(out, graph)
        return found

    def _example(self, sizes: Sequence[int]) -> dict[str, Any]:
        """A batch of rows of so many words."""
        texts = [" ".join(["the", "first", "of", "these", "words"][i % 5] for i in range(size)) for size in sizes]
        rows = [self.kind.as_row(dict.fromkeys(self.kind.columns, text), 1) for text in texts]
        encoded = self.kind.encode(self._folder, rows)
        return to_tensors(encoded.collate(np.arange(len(encoded))), "cpu")


def read_lines(path: Path) -> Iterator[str]:
    """The texts of a file, one a line, or of standard input where `path` is `-`.

    Raises:
        DataError: there is no such file, a line is not UTF-8, or has nothing in it.
    """
    for number, line in _lines(path):
        if not line.strip():
            raise DataError("is empty: there is nothing to predict", where=f"{path}:{number}")
        yield line


def read_objects(path: Path) -> Iterator[Any]:
    """The JSON values of a file, one a line, or of standard input where `path` is `-`.

    Raises:
        DataError: there is no such file, a line is not UTF-8 or not JSON.
    """
    for number, line in _lines(path):
        try:
            yield json.loads(line)
        except ValueError as e:
            raise DataError(f"is not JSON: {e}", where=f"{path}:{number}") from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines without their ends, numbered from 1; a byte order mark is no part of the first."""
    try:
        file = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as e:
        raise DataError(e.strerror or str(e), where=str(path)) from None
    with file:
        for number, line in enumerate(file, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as e:
                raise DataError(f"is not UTF-8: {e.reason} at byte {e.start}", where=f"{path}:{number}") from None
