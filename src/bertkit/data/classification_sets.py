"""The known sets of labelled texts and pairs of texts, as published."""

from functools import partial
from pathlib import Path

from bertkit.data.published import HubSource, KnownSet, PublishedFile, Rows
from bertkit.data.tables.delimited import read_delimited
from bertkit.data.tables.lines import Lines, read_lines, without_line_end
from bertkit.data.tables.rows import BadRow, Row
from bertkit.errors import DataError


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


SETS = (
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
