"""Column files: every sentence is read or reported, by file and line."""

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.tables.rows import BadRow, Row
from bertkit.data.tagging.conll import read_conll
from bertkit.data.tagging.task import TaggedData, read_files
from bertkit.errors import DataError


def read(path: Path, content: str | bytes, **options: int) -> list[Row | BadRow]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_conll(path, **options))


def load(tmp_path: Path, content: str, **options: object) -> TaggedData:
    path = tmp_path / "train.conll"
    path.write_text(content, encoding="utf-8")
    return read_files({"train": path}, format="conll", **{"columns": {"token": 1}, **options})  # type: ignore[arg-type]


def test_any_number_of_columns_document_lines_and_line_ends(tmp_path: Path) -> None:
    content = "\ufeff-DOCSTART- -X- O O\r\n\r\nAda NNP I-NP B-PER\r\nwrote VBD  I-VP\tO\r\n\r\n \t\r\nagain RB I-ADVP O"
    rows = read(tmp_path / "a", content.replace("\t", " "))
    assert [row.values["tokens"] for row in rows if isinstance(row, Row)] == [["Ada", "wrote"], ["again"]]
    assert [row.values["tags"] for row in rows if isinstance(row, Row)] == [["B-PER", "O"], ["O"]]
    assert [row.number for row in rows] == [3, 7]


def test_columns_are_chosen_by_number_and_tabs_keep_spaces(tmp_path: Path) -> None:
    (row,) = read(tmp_path / "a", "1\tNew York\tB-LOC\tx\n2\t\u3000\tO\tx\n", token=2, tag=3)
    assert isinstance(row, Row)
    assert row.values["tokens"] == ["New York", "\u3000"]
    assert row.values["tags"] == ["B-LOC", "O"]


def test_gzip(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.gz", gzip.compress("李 B-PER\n白 I-PER\n".encode()))
    assert [row.values["tokens"] for row in rows if isinstance(row, Row)] == [["李", "白"]]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("a O\n\nb O\nc x O\n", 4, "has 3 columns, the sentence's first line 2"),
        ("a O\n\nb O\nc\n", 4, "has 1 columns"),
        ("a B-X\n\nb O\nc I-X\n\nd B-X\n", 4, "has not begun"),
        ("a B-X\n\nb B\n", 3, "is no tag"),
        ("a\tB-X\n\nb\tO\n\tc\tO\n", 4, "columns"),
    ],
)
def test_a_bad_line_is_refused_by_file_and_line(tmp_path: Path, content: str, line: int, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        load(tmp_path, content)
    assert caught.value.where == f"{tmp_path}/train.conll:{line}"


def test_bytes_that_are_no_text_are_refused_by_line(tmp_path: Path) -> None:
    rows = read(tmp_path / "a", b"a O\n\nb O\n\xff O\n\nc O\n")
    assert [isinstance(row, BadRow) for row in rows] == [False, True, False]
    bad = rows[1]
    assert isinstance(bad, BadRow)
    assert str(bad.error).startswith(f"{tmp_path}/a:4")


def test_bad_rows_and_repairs_are_counted(tmp_path: Path) -> None:
    content = "a B-X\n\nb I-X\n\nc O x\nd O\n\ne B-X\nf I-Y\n"
    data = load(tmp_path, content, max_bad_rows=1, repair_tags=True)
    assert [s.tags for s in data.splits["train"]] == [["B-X"], ["B-X"], ["B-X", "B-Y"]]
    tally = data.tallies["train"]
    assert (tally.read, dict(tally.dropped), dict(tally.changed)) == (
        4,
        {"number of columns differs": 1},
        {"tags read leniently": 2},
    )


def test_the_other_splits_are_read_in_the_scheme_of_train(tmp_path: Path) -> None:
    files = {"train": tmp_path / "train", "test": tmp_path / "test"}
    files["train"].write_text("a B-X\n\nb B-X\nc I-X\n")
    files["test"].write_text("a O\nb I-X\n")
    with pytest.raises(DataError, match="read as BIO") as caught:
        read_files(files, format="conll", columns={})
    assert caught.value.where == f"{files['test']}:2"


def test_a_very_long_sentence_is_read_whole(tmp_path: Path) -> None:
    (row,) = read(tmp_path / "a", "word O\n" * 100_000)
    assert isinstance(row, Row)
    assert len(row.values["tokens"]) == 100_000


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a O", "b B-X", "c I-X", "d B-Y", "e", "f O x", "-DOCSTART- O", "", " ", "\tO", "\udcff O"])
    )
)
def test_sentences_in_are_sentences_used_and_reported(lines: list[str]) -> None:
    content = "\n".join(lines).encode(errors="surrogateescape")
    wanted = 0
    for block in "\n".join("" if not line.strip() else line for line in lines).split("\n\n"):
        wanted += any(line.strip() and not line.startswith("-DOC") for line in block.split("\n"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(content)
        data = read_files({"train": path}, format="conll", columns={}, max_bad_rows=999)
    tally = data.tallies["train"]
    assert tally.read == wanted
    assert tally.read == len(data.splits["train"]) + sum(tally.dropped.values())
    for sentence in data.splits["train"]:
        assert len(sentence.tokens) == len(sentence.tags)


def test_comments_before_a_sentence_are_left_out_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("#\tsource 1\n1\tAda\tB-PER\n2\t#\tO\n\n# text = x\n1\tBob\tB-PER\n", encoding="utf-8")
    refused = list(read_conll(path, token=2, tag=3))
    assert [type(row) for row in refused] == [BadRow, BadRow]
    assert "source.comments=true" in str(refused[0].error.remedy)
    first, second = read_conll(path, token=2, tag=3, comments=True)
    assert (first.values["tokens"], first.values["lines"]) == (["Ada", "#"], [2, 3])
    assert second.values["tokens"] == ["Bob"]


def test_universal_dependencies_are_read_token_by_token(tmp_path: Path) -> None:
    columns = "\t_" * 6
    lines = [
        "# text = Let's go",
        f"1-2\tLet's\t_\t_{columns}",
        f"1\tLet\tlet\tVERB{columns}",
        f"2\t's\twe\tPRON{columns}",
        f"3\tgo\tgo\tVERB{columns}",
        f"3.1\tnow\tnow\tADV{columns}",
    ]
    data = load(tmp_path, "\n".join(lines) + "\n", columns={"token": 2, "tag": 4}, comments=True)
    (sentence,) = data.splits["train"]
    assert (sentence.tokens, sentence.tags) == (["Let", "'s", "go"], ["B-VERB", "B-PRON", "B-VERB"])
    data.prepare(validation_percentage=0)
    assert (data.schemes["train"], data.labels) == ("token", ["O", "B-PRON", "B-VERB"])


def test_words_of_chinese_are_cut_out_by_prefixes_alone(tmp_path: Path) -> None:
    (sentence,) = load(tmp_path, "我 S\n爱 S\n北 B\n京 E\n").splits["train"]
    assert sentence.tags == ["B-span", "B-span", "B-span", "I-span"]


def test_lines_that_carriage_returns_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a carriage return stands within the line") as caught:
        load(tmp_path, "a O\rb B-X\r\rc O\r")
    assert "line feeds" in str(caught.value.remedy)
    data = load(tmp_path, "a B-X\r\n\nb O\rc O\n\nd B-X\r\r\n", max_bad_rows=1)
    assert [s.tokens for s in data.splits["train"]] == [["a"], ["d"]]
    assert data.tallies["train"].dropped == {"carriage return within a line": 1}


def test_a_gzip_file_is_read_like_any_other(tmp_path: Path) -> None:
    content = "\ufeffa B-PER\n\nb O\nc B-\udcff\n\nd B-PER\n".encode(errors="surrogateescape")
    rows = read(tmp_path / "a.gz", gzip.compress(content))
    assert [row.values["tokens"] for row in rows if isinstance(row, Row)] == [["a"], ["d"]]
    (bad,) = [row for row in rows if isinstance(row, BadRow)]
    assert str(bad.error).startswith(f"{tmp_path}/a.gz:4: not UTF-8: byte 0xff")


@pytest.mark.parametrize("harm", ["cut off", "changed", "no gzip"])
def test_a_damaged_gzip_file_is_the_files_fault(tmp_path: Path, harm: str) -> None:
    content = b"".join(b"a%d B-PER\nb O\n\n" % i for i in range(2000))
    packed = bytearray(gzip.compress(content))
    packed[40] ^= 0xFF
    damaged = {"cut off": gzip.compress(content)[:-200], "changed": bytes(packed), "no gzip": content}
    with pytest.raises(DataError, match="cannot be unpacked") as caught:
        read(tmp_path / "a.gz", damaged[harm])
    assert caught.value.where == f"{tmp_path}/a.gz"


def test_tags_that_would_be_taken_for_types_are_refused(tmp_path: Path) -> None:
    content = "x O\n\nAnn B_PER\nLee I_PER\nsat O\n"
    with pytest.raises(DataError, match="'B_PER' seems to begin an entity") as caught:
        load(tmp_path, content)
    assert caught.value.where == f"{tmp_path}/train.conll:3"
    data = load(tmp_path, content, scheme="io")
    assert data.splits["train"][1].tags == ["B-B_PER", "B-I_PER", "O"]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train has no rows"):
        load(tmp_path, "\n\n").prepare(validation_percentage=10)


def test_tags_in_the_column_of_tokens_are_noticed(tmp_path: Path) -> None:
    content = "O\tplay\nB-song\tO\n\nO\tso\nB-song\twhat\nI-song\tnow\n"
    with pytest.raises(DataError, match="the tokens are tags, such as 'B-song'") as caught:
        load(tmp_path, content)
    assert caught.value.where == f"{tmp_path}/train.conll:1"
    assert "source.columns.token=2 source.columns.tag=1" in str(caught.value.remedy)
    data = load(tmp_path, content, columns={"token": 2, "tag": 1})
    assert [s.tags for s in data.splits["train"]] == [["O", "B-song"], ["O", "B-song", "I-song"]]
    assert load(tmp_path, "O DET\nB-52 NOUN\nflew VERB\n").splits["train"][0].tokens == ["O", "B-52", "flew"]
