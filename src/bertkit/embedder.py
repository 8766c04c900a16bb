"""Texts in, vectors out: the states of a BERT, whatever it was trained for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertkit import storage
from bertkit.data.encoding import EncodedTexts, encode_texts
from bertkit.data.pretraining import SpecialIds
from bertkit.errors import ConfigError, StageError
from bertkit.kinds.inputs import in_chunks, read_texts
from bertkit.models.pretrained import Encoder
from bertkit.text.vocabulary import read_entries, read_vocabulary
from bertkit.text.wordpiece import load_encode
from bertkit.training import processes
from bertkit.training.loop import to_tensors
from bertkit.training.prediction import rows_at_once

Pooling = Literal["cls", "mean", "max", "tokens"]
Floats = NDArray[np.float32]

_CHUNK = 1024  # texts encoded at once: enough to sort by length, few enough to stream


@dataclass(frozen=True, slots=True)
class Embedding:
    """A text's vector, shape (width,); with pooling `tokens`, those of its `tokens`, shape (tokens, width)."""

    id: str
    vector: Floats
    tokens: list[str] | None = None

    def as_json(self) -> dict[str, Any]:
        if self.tokens is None:
            return {"id": self.id, "embedding": self.vector.tolist()}
        return {"id": self.id, "tokens": self.tokens, "embeddings": self.vector.tolist()}


class Embedder:
    """The BERT in a folder, pretrained or fine-tuned.

    `pooling` makes a vector of the states of `layer` (see `Encoder`): that of [CLS], or the mean or maximum over all
    tokens with [CLS] and [SEP]; `tokens` keeps each token's. Longer texts than `max_seq_length`, by default as long as the
    model reads, are cut; `truncated` counts them.

    Raises:
        StageError: the folder holds no BERT, or one with fewer layers.
        ConfigError: the model does not read so many tokens.
        HostError: there is no such device.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pooling: Pooling = "mean",
        layer: int = -1,
        max_seq_length: int | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        num_threads: int | None = None,
    ) -> None:
        if not folder.is_dir():
            raise StageError("no such directory", where=str(folder))
        processes.pin_threads(num_threads, 1)
        self._device = processes.make_accelerator(device, "no").device
        self._encoder = Encoder(folder, layer=layer).to(self._device)
        self._pooling, self.width, self.truncated = pooling, self._encoder.width, 0
        self._length = self._encoder.max_length if max_seq_length is None else max_seq_length
        if not 3 <= self._length <= self._encoder.max_length:
            raise ConfigError(
                f"max_seq_length is {self._length}; the model reads 3 to {self._encoder.max_length} tokens",
                where=str(folder),
            )
        vocabulary = read_vocabulary(folder)
        self._special = SpecialIds(vocabulary.cls, vocabulary.sep, vocabulary.pad)
        self._encode = load_encode(folder)
        self._token_of = {number: token for token, number in read_entries(folder).items()}

    def embed(self, given: Iterable[Any], *, batch_size: int | None = None) -> Floats | list[Floats]:
        """The vectors of all texts, shape (texts, width); with pooling `tokens` an array (tokens, width) each."""
        vectors = [one.vector for one in self.stream(given, batch_size=batch_size)]
        if self._pooling == "tokens":
            return vectors
        return np.stack(vectors) if vectors else np.zeros((0, self.width), np.float32)

    def stream(self, given: Iterable[Any], *, batch_size: int | None = None) -> Iterator[Embedding]:
        """A result for each text in its order, reading ahead no further than some thousand.

        An input is a string, or a mapping with `text`, whose `id` comes back.

        Raises:
            DataError: an input is no text, with its number from 1; those before it were given.
        """
        for rows in in_chunks(given, _as_row, size=_CHUNK):
            encoded = encode_texts(
                [row["text"] for row in rows],
                [0] * len(rows),
                self._encode,
                self._special,
                max_seq_length=self._length,
            )
            self.truncated += encoded.truncated
            for number, vector in enumerate(self._vectors(encoded, batch_size)):
                tokens = None
                if self._pooling == "tokens":
                    tokens = [self._token_of[i] for i in encoded.rows[number].tolist()]
                yield Embedding(rows[number]["id"], vector, tokens)

    def _vectors(self, encoded: EncodedTexts, batch_size: int | None) -> list[Floats]:
        found: list[Floats] = [np.empty(0, np.float32)] * len(encoded)
        with torch.inference_mode():
            for chosen, arrays in encoded.in_length_order(batch_size or rows_at_once(self._device)):
                batch = to_tensors(arrays, self._device)
                pooled = self._pooled(self._encoder(batch), batch.get("attention_mask")).float().cpu().numpy()
                for place, number in enumerate(chosen.tolist()):
                    one = pooled[place]
                    found[number] = one[: len(encoded.rows[number])].copy() if self._pooling == "tokens" else one
        return found

    def _pooled(self, states: Tensor, mask: Tensor | None) -> Tensor:
        if self._pooling == "tokens":
            return states
        if self._pooling == "cls":
            return states[:, 0]
        if mask is None:
            return states.mean(1) if self._pooling == "mean" else states.amax(1)
        if self._pooling == "mean":
            return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return states.masked_fill(mask[..., None] == 0, -torch.inf).amax(1)


def _as_row(given: Any, number: int) -> dict[str, Any]:
    row = {"id": str(number), **read_texts(given, ("text",), number)}
    return row if not isinstance(given, Mapping) else row | {"id": str(row["id"])}


def write_npy(path: Path, vectors: Iterable[Floats], width: int) -> int:
    """Write vectors as one array (texts, width) in NumPy's format, as they come; returns how many there were."""
    count = 0
    with storage.atomic_file(path) as file:
        # NumPy's header leaves room for the number of rows to grow, so that it can be written again at the end.
        _write_header(file, 0, width)
        for vector in vectors:
            file.write(np.ascontiguousarray(vector, "<f4").tobytes())
            count += 1
        file.seek(0)
        _write_header(file, count, width)
    return count


def _write_header(file: Any, count: int, width: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
    np.lib.format.write_array_header_1_0(file, header)
