"""A network with its head as an ONNX graph: exported by torch, run by onnxruntime, with the same outputs."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bertkit.errors import HostError, StageError
from bertkit.models.objective import Batch, Sums, TaskObjective


class OnnxObjective(TaskObjective):
    """An objective whose logits are computed by onnxruntime; what follows from them, tags for example, by torch.

    Args:
        objective: where the graph comes from.
        graph: as `export_graph` gave it.

    Raises:
        HostError: onnxruntime is not installed, or cannot read the graph.
    """

    def __init__(self, objective: TaskObjective, graph: bytes, *, num_threads: int) -> None:
        super().__init__()
        self._inner = objective
        self._session = _session(graph, num_threads)
        self._names = [one.name for one in self._session.get_outputs()]

    def outputs(self, batch: Batch) -> dict[str, Tensor]:
        found = self._session.run(None, {name: one.numpy() for name, one in graph_inputs(self._inner, batch).items()})
        logits = {name: torch.from_numpy(one) for name, one in zip(self._names, found, strict=True)}
        return self._inner.decode(logits, batch)

    def sums(self, batch: Batch, outputs: dict[str, Tensor]) -> Sums:
        return self._inner.sums(batch, outputs)


class _Logits(nn.Module):
    def __init__(self, objective: TaskObjective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.objective.logits(dict(zip(self.objective.graph_inputs, given, strict=True))).values())


def graph_inputs(objective: TaskObjective, batch: Batch) -> Batch:
    """What of a batch the graph reads, in its order; padding's mask also where there is no padding."""
    mask = {"attention_mask": torch.ones_like(batch["input_ids"])}
    return {name: (mask | batch)[name] for name in objective.graph_inputs}


def export_graph(objective: TaskObjective, batch: Batch) -> bytes:
    """The graph from `batch` to `objective.logits`, for any size of its named dimensions.

    `batch` is an example of two rows or more, with padding.

    Raises:
        HostError: onnx or onnxscript is not installed.
        StageError: the network has recurrent layers, which torch's exporter unrolls to one length.
    """
    try:
        import onnxscript  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401
    except ImportError:
        raise _not_installed() from None
    if any(isinstance(module, nn.RNNBase) for module in objective.modules()):
        raise StageError(
            "torch cannot export recurrent layers for texts of any length", remedy="Predict without --onnx."
        )
    given = graph_inputs(objective, batch)
    names = {name for dimensions in objective.graph_inputs.values() for name in dimensions}
    sizes = {name: torch.export.Dim(name) for name in sorted(names)}
    shapes = tuple({i: sizes[one] for i, one in enumerate(objective.graph_inputs[name])} for name in given)
    module = _Logits(objective).eval()
    outputs = list(objective.logits(given))
    for chatty in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program: Any = torch.onnx.export(
            module,
            tuple(given.values()),
            dynamo=True,
            dynamic_shapes=(shapes,),
            input_names=list(given),
            output_names=outputs,
            verbose=False,
        )
    graph: bytes = program.model_proto.SerializeToString()
    return graph


def largest_difference(objective: TaskObjective, graph: bytes, batches: Sequence[Batch]) -> float:
    """How far the graph's logits are from torch's, at most, over all batches."""
    session, worst = _session(graph, 1), 0.0
    for batch in batches:
        given = graph_inputs(objective, batch)
        with torch.inference_mode():
            expected: Mapping[str, Tensor] = objective.logits(given)
        found: list[NDArray[Any]] = session.run(None, {name: one.numpy() for name, one in given.items()})
        for one, other in zip(found, expected.values(), strict=True):
            worst = max(worst, float(np.abs(one - other.numpy()).max())) if one.shape == other.shape else np.inf
    return worst


def _session(graph: bytes, num_threads: int) -> Any:
    try:
        import onnxruntime  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise _not_installed() from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime's own classes differ between versions
        raise HostError(f"onnxruntime cannot read the graph: {e}", remedy="Export it again.") from None


def _not_installed() -> HostError:
    return HostError("ONNX needs onnx, onnxscript and onnxruntime", remedy="pip install 'bertkit[onnx]'")
