"""The labelled sets bertkit knows by name: how their published files are laid out, and where the Hub has them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bertkit.data.tables.delimited import read_delimited
from bertkit.data.tables.lines import Lines, read_lines, without_line_end
from bertkit.data.tables.rows import BadRow, Row
from bertkit.errors import ConfigError, DataError, did_you_mean

Rows = Iterator[Row | BadRow]


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of a set as published, below `DIR/NAME`; `read` gives rows with `text`, in pairs
    `text_pair`, and, where `labelled`, `label`."""

    name: str
    read: Callable[[Path], Rows]
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class HubSource:
    """Where the Hub has a set: `load_dataset(path, name, revision=...)`, its columns, and its splits for ours."""

    path: str
    name: str | None = None
    revision: str | None = None
    text: str = "text"
    text_pair: str | None = None
    label: str = "label"
    splits: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"train": ("train",), "validation": ("validation",), "test": ("test",)}
    )
    unlabelled: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnownSet:
    """A set by name. `labels` are in their fixed order; `test_percentage` is cut off by hash where no split is published."""

    name: str
    title: str
    licence: str
    labels: tuple[str, ...]
    files: Mapping[str, tuple[PublishedFile, ...]] = field(default_factory=dict)
    hub: HubSource | None = None
    primary: str = "accuracy"
    test_percentage: int = 0


def known_set(name: str) -> KnownSet:
    """The set called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in KNOWN:
        raise ConfigError(
            f"there is no data set {name!r}{did_you_mean(name, list(KNOWN))}",
            remedy=f"Known sets: {', '.join(KNOWN)}. For your own files use source.format.",
        )
    return KNOWN[name]


def local_files(known: KnownSet, data_dir: Path) -> dict[str, list[tuple[PublishedFile, Path]]]:
    """The published files of a set below `data_dir/NAME`, by split.

    Raises:
        DataError: the directory or one of the files is not there.
    """
    folder = data_dir / known.name
    if not folder.is_dir():
        if data_dir.name == known.name:
            remedy = f"Give the directory above it: --data-dir {data_dir.parent}."
            raise DataError(f"is the folder of {known.name!r} itself", where=str(data_dir), remedy=remedy)
        there = [name for name in KNOWN if (data_dir / name).is_dir()]
        has = f"it has {', '.join(there)}" if there else "it has none of the known sets"
        hub = " Without --data-dir it is fetched from the Hugging Face Hub." if known.hub else ""
        raise DataError(
            f"has no folder {known.name!r}; {has}",
            where=str(data_dir),
            remedy=f"Put the published files into {folder}, or give another --data-dir.{hub}",
        )
    found = {split: [(file, folder / file.name) for file in files] for split, files in known.files.items()}
    for _, path in (pair for pairs in found.values() for pair in pairs):
        if not path.is_file():
            raise DataError("no such file", where=str(path), remedy=f"It is part of {known.title} as published.")
    return found


def _read_trec(path: Path) -> Rows:
    """`COARSE:fine question`, in Latin-1; the label is the coarse type."""
    lines = Lines(path, "latin-1")
    for line in lines:
        text = without_line_end(line)
        kind, _, question = text.partition(" ")
        coarse, colon, _ = kind.partition(":")
        lines.bad_bytes(text)
        where = lines.where(lines.number)
        if colon:
            yield Row(lines.number, where, {"text": question, "label": coarse})
        else:
            yield BadRow(lines.number, "no label", DataError("does not begin with COARSE:fine", where=where))


def _tsv(
    name: str, *, text: str | int, label: str | int | None, text_pair: str | None = None, header: bool = True
) -> PublishedFile:
    """A tab-separated file in which quotes mean nothing; without `label` its labels were never published."""
    roles = {"text": text, "text_pair": text_pair, "label": label}
    columns = {role: column for role, column in roles.items() if column is not None}
    read = partial(read_delimited, columns=columns, delimiter="\t", quoting=False, header=header)
    return PublishedFile(name, read, labelled=label is not None)


def _sentences(name: str, label: str) -> PublishedFile:
    return PublishedFile(name, partial(read_lines, values={"label": label}))


_SETS = (
    KnownSet(
        name="sst2",
        title="SST-2 (GLUE): sentences of film reviews",
        licence="None stated with the data; published for research (Socher et al. 2013, Wang et al. 2019).",
        labels=("negative", "positive"),
        files={
            "train": (_tsv("train.tsv", text="sentence", label="label"),),
            "validation": (_tsv("dev.tsv", text="sentence", label="label"),),
            "test": (_tsv("test.tsv", text="sentence", label=None),),
        },
        hub=HubSource("nyu-mll/glue", "sst2", text="sentence", unlabelled=("test",)),
    ),
    KnownSet(
        name="cola",
        title="CoLA (GLUE): is the sentence acceptable English?",
        licence="None stated; excerpts from linguistics literature, published for research (Warstadt et al. 2019).",
        labels=("unacceptable", "acceptable"),
        files={
            "train": (_tsv("train.tsv", text=4, label=2, header=False),),
            "validation": (_tsv("dev.tsv", text=4, label=2, header=False),),
            "test": (_tsv("test.tsv", text="sentence", label=None),),
        },
        hub=HubSource("nyu-mll/glue", "cola", text="sentence", unlabelled=("test",)),
        primary="matthews_correlation",
    ),
    KnownSet(
        name="mrpc",
        title="MRPC (GLUE): do two sentences of the news say the same?",
        licence="Microsoft Research's, for research use; not to be passed on in a package (Dolan and Brockett 2005).",
        labels=("not_equivalent", "equivalent"),
        files={
            split: (_tsv(name, text="#1 String", text_pair="#2 String", label="Quality"),)
            for split, name in (("train", "train.tsv"), ("validation", "dev.tsv"), ("test", "msr_paraphrase_test.txt"))
        },
        hub=HubSource("nyu-mll/glue", "mrpc", text="sentence1", text_pair="sentence2"),
    ),
    KnownSet(
        name="trec6",
        title="TREC question classification, six coarse types",
        licence="None stated; published for research (Li and Roth 2002).",
        labels=("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"),
        files={
            "train": (PublishedFile("train.txt", _read_trec),),
            "test": (PublishedFile("test.txt", _read_trec),),
        },
        hub=HubSource(
            "CogComp/trec",
            revision="refs/convert/parquet",
            label="coarse_label",
            splits={"train": ("train",), "test": ("test",)},
        ),
    ),
    KnownSet(
        name="sentence_polarity",
        title="Sentence polarity 1.0 (MR): sentences of film reviews",
        licence="CC BY 4.0, Bo Pang and Lillian Lee (2005).",
        labels=("negative", "positive"),
        files={"train": (_sentences("rt-polarity.neg", "negative"), _sentences("rt-polarity.pos", "positive"))},
        hub=HubSource(
            "cornell-movie-review-data/rotten_tomatoes",
            splits={"train": ("train", "validation", "test")},
            renamed={"neg": "negative", "pos": "positive"},
        ),
        test_percentage=10,
    ),
    KnownSet(
        name="chnsenticorp",
        title="ChnSentiCorp: Chinese reviews of hotels, books and computers",
        licence="None stated; collected by Songbo Tan for research.",
        labels=("negative", "positive"),
        files={
            split: (_tsv(name, text="text_a", label="label"),)
            for split, name in (("train", "train.tsv"), ("validation", "dev.tsv"), ("test", "test.tsv"))
        },
        hub=HubSource("lansinuote/ChnSentiCorp"),
    ),
    KnownSet(
        name="bbc_topic",
        title="BBC news articles and their topics",
        licence="The texts are the BBC's, for research use (Greene and Cunningham 2006).",
        labels=("business", "entertainment", "politics", "sports", "tech"),
    ),
)

KNOWN: dict[str, KnownSet] = {known.name: known for known in _SETS}
