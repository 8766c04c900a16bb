"""The typed directories that flow between stages, and the manifest that says one is whole."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from bertkit import storage
from bertkit.config import fingerprint
from bertkit.errors import IntegrityError, StageError
from bertkit.foreign import check_word_piece, require_safetensors

MANIFEST = "manifest.json"
# Stands in a directory from the moment a stage begins there, and says whose unfinished work it is.
UNFINISHED = ".stage.json"
# Holds what a run that is killed while it finishes goes on from; deleted once the manifest is written.
SPARE = ".spare"
# Trackers keep their files here. Some write to them after the stage is done, so no manifest lists them.
TRACKERS = "runs"
# What the Hub shows of a repository. A folder that was fetched has one, which people edit there.
CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished directory. Subclasses name the files a reader relies on."""

    path: Path
    files: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def open(cls, path: Path) -> Self:
        """The artifact in `path`.

        Raises:
            StageError: the directory is missing, unfinished, or holds another kind of artifact.
        """
        if not path.is_dir():
            names = "On the Hub a model is USER/NAME, such as google-bert/bert-base-uncased."
            raise StageError("no such directory", where=str(path), remedy=names if len(path.parts) == 1 else None)
        manifest = read_manifest(path)
        if manifest is None:
            raise StageError(
                f"has no {MANIFEST}: the stage that writes it has not finished",
                where=str(path),
                remedy="Run that stage again with the same arguments: it goes on from what is there.",
            )
        if manifest["artifact"] != cls.__name__ and cls is not Artifact:
            raise StageError(f"is a {manifest['artifact']}, not a {cls.__name__}", where=str(path))
        return cls(path)

    @property
    def manifest(self) -> dict[str, Any]:
        manifest = read_manifest(self.path)
        if manifest is None:
            raise StageError(f"has no {MANIFEST}", where=str(self.path))
        return manifest

    @property
    def fingerprint(self) -> str:
        """What made this directory, in ten hexadecimal digits."""
        return str(self.manifest["fingerprint"])

    def read_json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def counts(self) -> dict[str, Any]:
        """The figures that the manifest repeats for people; subclasses say which."""
        return {}

    def check(self) -> None:
        """Called before a stage reads it; subclasses raise an IntegrityError where a changed byte would go unnoticed."""


@dataclass(frozen=True, slots=True)
class Corpus(Artifact):
    """Documents as parquet (`id`, `sentences`): `documents-*.parquet` to train on, `heldout-*.parquet` to measure on.

    `stats.json` counts what was kept, changed and dropped, by reason.
    """

    files = ("stats.json",)

    def counts(self) -> dict[str, Any]:
        return dict(self.read_json("stats.json"))

    def shards(self, split: str) -> list[Path]:
        """The parquet files of `split` (`train` or `heldout`), in order."""
        return sorted(self.path.glob({"train": "documents-*.parquet", "heldout": "heldout-*.parquet"}[split]))

    def documents(self, split: str) -> Iterator[tuple[str, list[str]]]:
        """Each document's id and sentences, in order, in bounded memory."""
        import pyarrow.parquet as pq

        for shard in self.shards(split):
            for batch in pq.ParquetFile(shard).iter_batches(batch_size=256):
                yield from zip(batch["id"].to_pylist(), batch["sentences"].to_pylist(), strict=True)

    def row_groups(self, split: str) -> list[tuple[Path, int]]:
        """The parts of a split that are read at once, in order: a file and the number of its row group."""
        import pyarrow.parquet as pq

        return [
            (shard, number) for shard in self.shards(split) for number in range(pq.read_metadata(shard).num_row_groups)
        ]

    @staticmethod
    def read_row_group(shard: Path, number: int) -> tuple[list[str], list[int]]:
        """All sentences of a row group, and how many of them each document has."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        documents = pq.ParquetFile(shard).read_row_group(number, columns=["sentences"], use_threads=False)["sentences"]
        return pc.list_flatten(documents).to_pylist(), pc.list_value_length(documents).to_pylist()


@dataclass(frozen=True, slots=True)
class Tokenizer(Artifact):
    """A WordPiece tokenizer as Hugging Face and Google's tools read it; `quality.json` holds its figures."""

    files = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "quality.json")

    def counts(self) -> dict[str, Any]:
        """The figures; none for another maker's tokenizer."""
        return {} if self._is_foreign(self.path) else dict(self.read_json("quality.json"))

    @classmethod
    def open(cls, path: Path) -> Self:
        """As `Artifact.open`; a plain Hugging Face folder of a BERT tokenizer will do as well.

        Such a folder holds `tokenizer.json`, or `vocab.txt` and `tokenizer_config.json`.

        Raises:
            StageError: it is no WordPiece tokenizer with BERT's special tokens.
        """
        if not cls._is_foreign(path):
            return super(Tokenizer, cls).open(path)
        check_word_piece(path)
        return cls(path)

    @property
    def fingerprint(self) -> str:
        if self._is_foreign(self.path):
            return _content_fingerprint(self.path, ("tokenizer.json", "tokenizer_config.json", "vocab.txt"))
        return super(Tokenizer, self).fingerprint

    @staticmethod
    def _is_foreign(path: Path) -> bool:
        return path.is_dir() and not (path / MANIFEST).exists() and not (path / UNFINISHED).exists()


@dataclass(frozen=True, slots=True)
class PretrainData(Artifact):
    """The token store: flat token ids with word starts, sentence and document offsets, for `train` and `heldout`."""

    files = ("meta.json",)

    def counts(self) -> dict[str, Any]:
        return dict(self.read_json("meta.json")["counts"])

    def check(self) -> None:
        """Training maps the files and would not notice a changed byte."""
        verify(self.path)


@dataclass(frozen=True, slots=True)
class Checkpoint(Artifact):
    """A Hugging Face folder (model, config, tokenizer) with `log.jsonl` and `trainer_state.json`."""

    files = ("config.json", "model.safetensors", "tokenizer.json", "log.jsonl", "trainer_state.json")

    @classmethod
    def open(cls, path: Path) -> Self:
        """As `Artifact.open`; a plain Hugging Face folder (`config.json`, `model.safetensors`) will do as well.

        Raises:
            StageError: as of `Artifact.open`; or such a folder has its weights in another format.
        """
        if cls._is_foreign(path):
            return cls(path)
        if (path / "config.json").is_file() and not any((path / name).exists() for name in (MANIFEST, UNFINISHED)):
            require_safetensors(path)
        return super(Checkpoint, cls).open(path)

    @property
    def fingerprint(self) -> str:
        if self._is_foreign(self.path):
            names = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
            return _content_fingerprint(self.path, names)
        return super(Checkpoint, self).fingerprint

    @staticmethod
    def _is_foreign(path: Path) -> bool:
        return (
            not (path / MANIFEST).exists()
            and all((path / name).is_file() for name in ("config.json", "model.safetensors"))
            and not (path / UNFINISHED).exists()
        )


@dataclass(frozen=True, slots=True)
class TaskData(Artifact):
    """A labelled task: `<split>.parquet` in the task's columns, and `task.json` (kind, labels, counts, dropped)."""

    files = ("task.json",)

    def counts(self) -> dict[str, Any]:
        return {key: self.task[key] for key in ("counts", "dropped")}

    @property
    def task(self) -> dict[str, Any]:
        return dict(self.read_json("task.json"))

    @property
    def origin(self) -> dict[str, Any]:
        """Which known set (`dataset`) or data set of the Hub (`hub`) it is, and what to `note`; empty for a user's own files."""
        return {key: value for key, value in self.task["source"].items() if key in ("dataset", "hub", "note")}

    def rows(self, split: str) -> list[dict[str, Any]]:
        """Every row of `split` as a dictionary."""
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(self.path / f"{split}.parquet").to_pylist()
        return rows


@dataclass(frozen=True, slots=True)
class WordVectors(Artifact):
    """Word vectors: `vectors.safetensors` and `words.txt`, line i naming row i."""

    files = ("vectors.safetensors", "words.txt")

    def write(self, words: Sequence[str], vectors: Any, counts: Any = None) -> None:
        """Write words, their vectors as an array (words, width) and, where known, how often each stands in the corpus."""
        from safetensors.numpy import save

        arrays = {"vectors": vectors} if counts is None else {"vectors": vectors, "counts": counts}
        storage.write_bytes(self.path / "vectors.safetensors", save(arrays))
        storage.write_text(self.path / "words.txt", "\n".join(words) + "\n")

    def read(self) -> tuple[list[str], Any]:
        """The words, and their vectors as an array (words, width)."""
        from safetensors.numpy import load_file

        # As bytes: `read_text` takes a lone \r, which a word of others may hold, for the end of a line.
        words = (self.path / "words.txt").read_bytes().decode().removesuffix("\n").split("\n")
        return words, load_file(self.path / "vectors.safetensors")["vectors"]

    def read_counts(self) -> Any:
        """How often each word stands in the corpus, as an array (words,); None where that is not known."""
        from safetensors.numpy import load_file

        return load_file(self.path / "vectors.safetensors").get("counts")


@dataclass(frozen=True, slots=True)
class Model(Artifact):
    """What `bertkit predict` loads: weights, tokenizer, and `predictor.json` (kind, labels, name, figures)."""

    files = ("predictor.json",)


@dataclass(frozen=True, slots=True)
class Metrics(Artifact):
    """`metrics.json`, a pure function of `predictions.jsonl` (id, gold, predicted, scores)."""

    files = ("metrics.json", "predictions.jsonl")

    def predictions(self) -> list[dict[str, Any]]:
        with (self.path / "predictions.jsonl").open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]


@dataclass(frozen=True, slots=True)
class Report(Artifact):
    """`report.html` (one self-contained file), `report.md` and `report.json`."""

    files = ("report.html", "report.md", "report.json")


@dataclass(frozen=True, slots=True)
class Publication(Artifact):
    """What was pushed to the Hub: `README.md`, the card, and `published.json` (repo, url, revision, files)."""

    files = ("README.md", "published.json")


ARTIFACTS: dict[str, type[Artifact]] = {
    cls.__name__: cls
    for cls in (Corpus, Tokenizer, PretrainData, Checkpoint, TaskData, WordVectors, Model, Metrics, Report, Publication)
}


# --- folders that others wrote ---------------------------------------------------------------------------------


def _content_fingerprint(folder: Path, names: tuple[str, ...]) -> str:
    return fingerprint({name: storage.sha256(folder / name) for name in names if (folder / name).is_file()})


# --- manifest --------------------------------------------------------------------------------------------------


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a directory, or None where there is none.

    Raises:
        IntegrityError: it is there but cannot be read.
    """
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as e:
        raise IntegrityError(f"cannot be read: {e}", where=str(path / MANIFEST)) from None
    return manifest


def finish(artifact: Artifact, header: dict[str, Any]) -> None:
    """Write the manifest, which makes the directory whole: every file's size and SHA-256 beside `header`."""
    for name in artifact.files:
        if not (artifact.path / name).is_file():
            raise StageError(f"a {type(artifact).__name__} must hold {name}", where=str(artifact.path))
    storage.sync_tree(artifact.path)
    files = {
        str(path.relative_to(artifact.path)): {"sha256": storage.sha256(path), "size": path.stat().st_size}
        for path in listed_files(artifact.path)
    }
    header = {"artifact": type(artifact).__name__, **header, "counts": artifact.counts()}
    storage.write_json(artifact.path / MANIFEST, {**header, "files": files})


def listed_files(directory: Path) -> list[Path]:
    """The files a manifest lists: all but itself, trackers' files and names that begin with a dot."""
    named = {path: path.relative_to(directory).parts for path in directory.rglob("*") if path.is_file()}
    return sorted(
        path
        for path, parts in named.items()
        if parts != (MANIFEST,) and parts[0] != TRACKERS and not any(part.startswith(".") for part in parts)
    )


def verify(directory: Path) -> int:
    """Check every file against the manifest; returns how many there are. A card beside them is nobody's.

    Raises:
        IntegrityError: files are missing, added or changed; all are named.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        raise IntegrityError(f"has no {MANIFEST}: it is unfinished or not an artifact", where=str(directory))
    expected: dict[str, dict[str, Any]] = manifest["files"]
    present = {str(path.relative_to(directory)) for path in listed_files(directory)}
    problems = [f"{name} is missing" for name in sorted(expected.keys() - present)]
    problems += [f"{name} is not in the manifest" for name in sorted(present - expected.keys() - {CARD})]
    for name in sorted(present & expected.keys()):
        size, digest = (directory / name).stat().st_size, storage.sha256(directory / name)
        if digest != expected[name]["sha256"]:
            problems.append(
                f"{name} has {size} bytes and SHA-256 {digest[:12]}..., "
                f"written were {expected[name]['size']} bytes and {expected[name]['sha256'][:12]}..."
            )
    if problems:
        raise IntegrityError(
            "\n  ".join(["is not what was written:", *problems]),
            where=str(directory),
            remedy="Delete the directory and run its stage again.",
        )
    return len(expected)
