import bz2
import gzip
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data.sources.files import find_files, names
from bertkit.data.sources.hub import read_hub
from bertkit.data.sources.parquet import read_parquet
from bertkit.data.sources.raw import BAD_UTF8, BYTE_ORDER_MARK, NULL, RawDocument, Tally
from bertkit.data.sources.text import read_jsonl, read_text
from bertkit.data.sources.wiki import ENTITIES, TITLE, read_wiki
from bertkit.errors import DataError, HostError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: bytes | str, name: str = "a.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def texts(documents: list[RawDocument]) -> list[str]:
    return [document.text for document in documents]


# --- files -----------------------------------------------------------------------------------------------------


def test_files_are_found_by_name_pattern_and_directory_in_one_order(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a/1.txt", "a/3.md", "a/.hidden", ".git/4.txt", "[x].txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    def found(*patterns: str) -> list[str]:
        return [path.name for path in find_files([str(tmp_path / pattern) for pattern in patterns])]

    assert found(".") == ["1.txt", "2.txt", "3.md", "[x].txt"]
    assert found("*/*.txt") == ["1.txt", "2.txt"]
    assert found("b/2.txt", "a") == found("a", "b") == found("a", "b/2.txt", "a/1.txt") == ["1.txt", "2.txt", "3.md"]
    assert found("[x].txt") == ["[x].txt"]


@pytest.mark.parametrize("pattern", ["nothing.txt", "*.nothing", "empty", ""])
def test_a_pattern_without_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.txt").write_text("text")
    with pytest.raises(DataError) as e:
        find_files(["there.txt", pattern])
    assert e.value.where == (pattern or None)


def test_documents_are_named_without_the_place_of_their_file(write: Write, tmp_path: Path) -> None:
    paths = [tmp_path / "x" / "a.txt", tmp_path / "y" / "a.txt", tmp_path / "y" / "b.txt"]
    assert names(paths) == ["a.txt", "a.txt (2)", "b.txt"]
    (document,) = read_text([write("one\ntwo")], tally=Tally(), one_document_a="file")
    assert document.id == "a.txt"


# --- text ------------------------------------------------------------------------------------------------------


def test_blank_lines_end_documents_and_line_numbers_are_kept(write: Write) -> None:
    path = write("\n\none\ntwo\n \t\n\nthree\n")
    documents = list(read_text([path], tally=Tally()))
    assert documents == [
        RawDocument("a.txt:3", "one\ntwo", f"{path}:3"),
        RawDocument("a.txt:7", "three", f"{path}:7"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_kind_of_line_end(write: Write, end: str, last: bool) -> None:
    path = write(end.join(["one", "two", "", "three"]) + end * last)
    assert texts(list(read_text([path], tally=Tally()))) == ["one\ntwo", "three"]
    (whole,) = read_text([path], tally=Tally(), one_document_a="file")
    assert whole.text.split() == ["one", "two", "three"]


def test_wrapped_lines_are_joined_up_to_a_blank_line(write: Write) -> None:
    path = write("a sentence that\ngoes on.\n\nAnother\nparagraph.")
    (whole,) = read_text([path], tally=Tally(), one_document_a="file", wrapped_lines=True)
    assert whole.text == "a sentence that goes on.\nAnother paragraph."
    blocks = read_text([path], tally=Tally(), wrapped_lines=True)
    assert texts(list(blocks)) == ["a sentence that goes on.", "Another paragraph."]


@pytest.mark.parametrize(("name", "pack"), [("a.txt.gz", gzip.compress), ("a.bz2", bz2.compress)])
def test_compressed_files(write: Write, name: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack("eins\n\nzwölf\n\n".encode() * 500)
    assert len(list(read_text([write(packed, name)], tally=Tally()))) == 1000
    for damaged in (packed[:-10], packed[:20] + b"\x00\xff\x00" + packed[23:], b"not packed"):
        with pytest.raises(DataError, match="damaged") as e:
            list(read_text([write(damaged, name)], tally=Tally()))
        assert e.value.where is not None
        assert e.value.where.endswith(name)


@pytest.mark.parametrize("content", [b"", b"\n\n \n", b"\xef\xbb\xbf", b"\r\n\r\n"])
def test_a_file_without_text_has_no_blank_line_documents_and_one_empty_whole(write: Write, content: bytes) -> None:
    path = write(content)
    assert list(read_text([path], tally=Tally())) == []
    (whole,) = read_text([path], tally=Tally(), one_document_a="file")
    assert not whole.text.strip()


def test_a_byte_order_mark_is_removed_and_counted(write: Write) -> None:
    tally = Tally()
    assert texts(list(read_text([write(b"\xef\xbb\xbfone")], tally=tally))) == ["one"]
    assert tally.changed == {BYTE_ORDER_MARK: 1}


def test_bad_utf8_stops_with_line_and_byte(write: Write) -> None:
    path = write(b"\xef\xbb\xbfgood\r\nfine \xc3\xa9\na price of \xa3300\n")
    with pytest.raises(DataError) as e:
        list(read_text([path], tally=Tally()))
    assert e.value.where == f"{path}:3"
    assert path.read_bytes()[28] == 0xA3
    assert "byte 0xa3 at byte 28 " in e.value.what
    assert e.value.remedy is not None
    assert "on_bad_utf8=replace" in e.value.remedy


def test_bad_utf8_can_be_replaced_and_is_counted(write: Write) -> None:
    tally = Tally()
    documents = read_text([write(b"a\xff\xffb\nc\nd\xe4\xb8\n")], tally=tally, on_bad_utf8="replace")
    assert texts(list(documents)) == ["a\ufffd\ufffdb\nc\nd\ufffd"]
    assert tally.changed == {BAD_UTF8: 2}


def test_utf16_is_recognised(write: Write) -> None:
    with pytest.raises(DataError, match="looks like UTF-16"):
        list(read_text([write("text".encode("utf-16"))], tally=Tally()))


def test_a_line_of_a_hundred_thousand_characters(write: Write) -> None:
    line = "文" * 100_000
    assert texts(list(read_text([write(f"{line}\n\nshort")], tally=Tally()))) == [line, "short"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(write: Write) -> None:
    path = write("text")
    path.chmod(0)
    with pytest.raises(HostError, match=r"a\.txt"):
        list(read_text([path], tally=Tally()))


@given(st.lists(st.lists(st.text("ab é文", min_size=1).filter(str.strip), min_size=1), max_size=5))
def test_documents_written_with_blank_lines_between_them_come_back(documents: list[list[str]]) -> None:
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write("\n\n".join("\n".join(lines) for lines in documents).encode())
        file.flush()
        read = texts(list(read_text([Path(file.name)], tally=Tally())))
    assert read == ["\n".join(lines) for lines in documents]


# --- jsonl -----------------------------------------------------------------------------------------------------


def test_jsonl(write: Write) -> None:
    path = write('{"text": "one\\ntwo", "id": 7}\n\n{"text": null}\n{"text": "\\ud83d\\ude00"}\n', "a.jsonl")
    tally = Tally()
    documents = list(read_jsonl([path], tally=tally))
    assert documents == [
        RawDocument("a.jsonl:1", "one\ntwo", f"{path}:1"),
        RawDocument("a.jsonl:4", "\U0001f600", f"{path}:4"),
    ]
    assert (tally.read, tally.dropped) == (1, {NULL: 1})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "open', "not JSON: .*column"),
        ("[1, 2]", r"not a JSON object but \[1, 2\]"),
        ('{"txt": "x"}', "has no field 'text', did you mean 'txt'"),
        ('{"body": "x", "n": 1}', "has no field 'text'; it has 'body', 'n'"),
        ('{"text": 5}', "the field 'text' is 5, not text"),
        ('{"text": ["a"]}', r"the field 'text' is \[\"a\"\], not text"),
        ("[" * 100_000, "not JSON"),
        ('{"n": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_a_bad_line_of_json_is_named(write: Write, line: str, message: str) -> None:
    path = write(f'{{"text": "good"}}\n{line}\n', "a.jsonl")
    with pytest.raises(DataError, match=message) as e:
        list(read_jsonl([path], tally=Tally()))
    assert e.value.where == f"{path}:2"


def test_half_a_character_in_json(write: Write) -> None:
    path = write('{"text": "fine"}\n{"text": "half \\ud83d of it"}\n', "a.jsonl")
    with pytest.raises(DataError, match=r"lone surrogate \\ud83d at character 5") as e:
        list(read_jsonl([path], tally=Tally()))
    assert e.value.where == f"{path}:2"
    tally = Tally()
    assert texts(list(read_jsonl([path], tally=tally, on_bad_utf8="replace")))[1] == "half \ufffd of it"
    assert tally.changed == {BAD_UTF8: 1}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.booleans())
def test_whatever_json_can_hold_comes_back(documents: list[str], escape: bool) -> None:
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write("".join(json.dumps({"text": text}, ensure_ascii=escape) + "\n" for text in documents).encode())
        file.flush()
        assert texts(list(read_jsonl([Path(file.name)], tally=Tally()))) == documents


# --- wiki ------------------------------------------------------------------------------------------------------

WIKI = """<doc id="12" url="https://x.org/?curid=12" title="Tea &amp; &quot;toast&quot;">
Tea &amp; "toast"

Tea is a drink.
Less than &lt; is escaped.

</doc>
<doc id="25" url="https://x.org/?curid=25" title="Milk">
No title line here.
</doc>
"""


def test_wiki(write: Write) -> None:
    path, tally = write(WIKI, "wiki_00"), Tally()
    documents = list(read_wiki([path], tally=tally))
    assert [(d.id, d.where) for d in documents] == [("12", f"{path}:1"), ("25", f"{path}:8")]
    assert documents[0].text.split("\n") == ["", "Tea is a drink.", "Less than < is escaped.", ""]
    assert documents[1].text == "No title line here."
    assert tally.changed == {TITLE: 1, ENTITIES: 1}


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (WIKI.replace("</doc>\n", "", 1), 1, "not closed"),
        (WIKI.removesuffix("</doc>\n"), 8, "not closed"),
        (WIKI + "\n\nstray words\n", 13, "text outside of a document: 'stray words'"),
        ("Just a text.\n", 1, "source.format=text"),
    ],
)
def test_wiki_files_that_are_cut_or_are_none(write: Write, content: str, line: int, message: str) -> None:
    path = write(content)
    with pytest.raises(DataError, match=message) as e:
        list(read_wiki([path], tally=Tally()))
    assert e.value.where == f"{path}:{line}"


# --- parquet ---------------------------------------------------------------------------------------------------


def test_parquet(tmp_path: Path) -> None:
    path, tally = tmp_path / "a.parquet", Tally()
    for kind in (pa.string(), pa.large_string()):
        pq.write_table(pa.table({"n": [1, 2, 3], "text": pa.array(["one", None, "三"], kind)}), path)
        documents = list(read_parquet([path], tally=tally))
        assert documents == [
            RawDocument("a.parquet:1", "one", f"{path}: row 1"),
            RawDocument("a.parquet:3", "三", f"{path}: row 3"),
        ]
    assert tally.dropped == {NULL: 2}


def test_parquet_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"txt": ["one"], "n": [1]}), path)
    with pytest.raises(DataError, match="no column 'text', did you mean 'txt'"):
        list(read_parquet([path], tally=Tally()))
    with pytest.raises(DataError, match="'n' holds int64, not text"):
        list(read_parquet([path], tally=Tally(), column="n"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read as parquet"):
        list(read_parquet([path], tally=Tally()))


def test_bad_utf8_in_parquet_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    bad = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"okb\xff"))
    pq.write_table(pa.table({"text": bad}), path)
    with pytest.raises(DataError, match="not UTF-8: byte 0xff at byte 1") as e:
        list(read_parquet([path], tally=Tally()))
    assert e.value.where == f"{path}: row 2"


# --- hub -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["./folder", "/data/text", "~/text", "a/b/c", "tests"])
def test_a_path_is_no_hub_name(path: str) -> None:
    with pytest.raises(DataError, match="a path on this machine"):
        next(read_hub(path, tally=Tally()))


def test_without_a_network_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(HostError, match="Hub cannot be reached") as e:
        next(read_hub("someone/some-texts", tally=Tally()))
    assert e.value.exit_code == 3
    assert e.value.remedy is not None
    assert "source.format=parquet" in e.value.remedy


def test_rows_of_a_hub_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def load_dataset(path: str, name: str | None, **options: object) -> datasets.IterableDataset:
        assert (path, name) == ("someone/texts", "small")
        assert options == {"split": "test", "revision": "v1", "streaming": True}
        return datasets.Dataset.from_dict({"body": ["one", None, "two"]}).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    tally = Tally()
    read = read_hub("someone/texts", tally=tally, name="small", split="test", column="body", revision="v1")
    assert [(d.id, d.text) for d in read] == [("someone/texts/small:1", "one"), ("someone/texts/small:3", "two")]
    assert tally.dropped == {NULL: 1}
    with pytest.raises(DataError, match="no column 'text'; it has 'body'"):
        next(read_hub("someone/texts", tally=Tally(), name="small", split="test", revision="v1"))
