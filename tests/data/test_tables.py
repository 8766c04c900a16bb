"""Table readers keep text as it stands, and name the true line and byte of what they cannot read."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertkit.data.tables.rows import BadRow, Row
from bertkit.data.tasks import read_table
from bertkit.errors import DataError

COLUMNS = {"text": "text", "label": "label"}
# Any text that UTF-8 can hold and that a line-based file can carry inside quotes.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)


def rows(path, format, content=None, columns=COLUMNS, **options):
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_table(path, format=format, columns=columns, **options))


def values(found):
    return [(row.values["text"], row.values["label"]) for row in found]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data.txt"


class TestCsv:
    @given(records=st.lists(st.tuples(TEXT, TEXT), max_size=6), crlf=st.booleans())
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_what_was_written_is_read(self, file, records, crlf):
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n" if crlf else "\n", quoting=csv.QUOTE_ALL)
        writer.writerows([("text", "label"), *records])
        found = rows(file, "csv", out.getvalue())
        assert values(found) == records
        # Every row's line is where its record begins, though values hold line ends.
        lines = out.getvalue().split("\n")
        for row, (text, _) in zip(found, records, strict=True):
            assert lines[row.number - 1].startswith('"' + text.split("\n")[0].replace('"', '""'))

    def test_nothing_is_taken_for_missing_or_a_number(self, file):
        found = rows(file, "csv", "text,label\nNA,null\n007,1.0\nNaN,\n")
        assert values(found) == [("NA", "null"), ("007", "1.0"), ("NaN", "")]

    def test_a_byte_order_mark_is_no_part_of_the_header(self, file):
        assert values(rows(file, "csv", b"\xef\xbb\xbftext,label\r\na,b\r\n")) == [("a", "b")]

    def test_bad_utf8_names_line_and_byte_and_hides_no_other_row(self, file):
        content = b'\xef\xbb\xbftext,label\n"two\nlines",x\ncaf\xe9,y\nfine,z\n'
        good, bad, last = rows(file, "csv", content)
        assert (good.number, last.number, last.values["text"]) == (2, 5, "fine")
        assert isinstance(bad, BadRow)
        assert bad.error.where == f"{file}:4"
        assert content.index(b"\xe9") == 31
        assert "byte 0xe9 at byte 31 of the file" in bad.error.what

    def test_other_encodings_are_read_when_named(self, file):
        assert values(rows(file, "csv", "text,label\n好的,是\n".encode("gb18030"), encoding="gb18030")) == [
            ("好的", "是")
        ]

    def test_ragged_rows_are_bad_and_blank_lines_are_counted(self, file):
        found = rows(file, "csv", "text,label\na,b,c\n\nd\ne,f\n")
        assert [row.reason for row in found[:3]] == ["wrong number of columns", "blank line", "wrong number of columns"]
        assert found[0].error.where.endswith(":2")
        assert "has 3 columns, the first row has 2" in found[0].error.what
        assert found[1].error is None
        assert found[2].error.where.endswith(":4")

    @pytest.mark.parametrize(
        ("content", "line", "says"),
        [
            ('text,label\na,b\n"open,c\nd,e\n', 3, "not closed by line 4"),
            ('text,label\n"open,c\n"d",e\n', 2, "goes on after its closing quote"),
            ("text,text,label\na,b,c\n", 1, "'text' more than once"),
            ("txt,label\na,b\n", 1, "no column 'text', did you mean 'txt'"),
            ("text\tlabel\na\tb\n", 1, "one column with tabs in it"),
            ("text;label\na;b\n", 1, "one column with semicolons in it"),
            (b"te\xffxt,label\n", 1, "byte 0xff at byte 2"),
        ],
    )
    def test_what_spoils_the_whole_file_stops_at_its_line(self, file, content, line, says):
        with pytest.raises(DataError, match=says) as caught:
            rows(file, "csv", content)
        assert caught.value.where == f"{file}:{line}"

    def test_one_row_with_broken_quotes_is_one_bad_row(self, file):
        found = rows(file, "csv", 'text,label\n"a"b,c\nd,e\n')
        assert (found[0].reason, found[0].error.where) == ("broken quotes", f"{file}:2")
        assert values(found[1:]) == [("d", "e")]

    def test_empty_and_utf16_files_are_refused(self, file):
        for content in (b"", b"\n\n"):
            with pytest.raises(DataError, match="is empty"):
                rows(file, "csv", content)
        for encoding, name in (("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE")):
            for content in ("text,label\n", "a,b\n"):
                with pytest.raises(DataError, match=f"UTF-16(?s:.*) -f {name} -t"):
                    rows(file, "csv", content.encode(encoding))

    def test_columns_by_number_without_a_header(self, file):
        found = rows(file, "csv", "x,a,b\ny,c,d\n", columns={"text": 3, "label": 1}, header=False)
        assert values(found) == [("b", "x"), ("d", "y")]
        with pytest.raises(DataError, match="no column 4: there are 3"):
            rows(file, "csv", columns={"text": 4, "label": 1}, header=False)

    def test_a_row_taken_for_a_header_is_not_lost(self, file):
        with pytest.raises(DataError, match="its label is '3' like that of line 3") as caught:
            rows(file, "csv", '3,"Wall St.",fall\n4,Oil,rise\n3,Rates,hold\n', columns={"text": 3, "label": 1})
        assert (caught.value.where, "header=false" in caught.value.remedy) == (f"{file}:1", True)
        assert values(rows(file, "csv", "x,a\na,x\n", columns={"text": "a", "label": "x"})) == [("x", "a")]
        # pandas numbers columns without a name.
        assert len(rows(file, "csv", ",0,1\n0,fine,1\n1,bad,0\n", columns={"text": 2, "label": 3})) == 2

    def test_without_names_a_first_row_that_is_no_header_is_thought_of(self, file):
        with pytest.raises(DataError, match="no column 'text'") as caught:
            rows(file, "csv", "3,Oil,rise\n")
        assert "header=false" in caught.value.remedy


class TestTsv:
    def test_quotes_are_characters(self, file):
        content = 'text\tlabel\n"open\tx\nhe said "no"\ty\n"all"\tz\n'
        assert values(rows(file, "tsv", content)) == [('"open', "x"), ('he said "no"', "y"), ('"all"', "z")]

    def test_quotes_can_be_asked_for(self, file):
        content = 'text\tlabel\n"a\tb"\tx\n'
        assert values(rows(file, "tsv", content, quoting=True)) == [("a\tb", "x")]

    def test_only_line_feeds_end_lines(self, file):
        text = "a\x0bb\x0cc\x85d\u2028e"
        assert values(rows(file, "tsv", f"text\tlabel\r\n{text}\tx\r\n")) == [(text, "x")]


class TestJsonLines:
    @given(records=st.lists(st.fixed_dictionaries({"text": TEXT, "label": TEXT | st.integers() | st.booleans()})))
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_what_was_written_is_read(self, file, records):
        lines = [json.dumps(record, ensure_ascii=i % 2 == 0) + "\n" for i, record in enumerate(records)]
        found = rows(file, "jsonl", "".join(lines))
        assert [row.values for row in found] == records
        assert [row.number for row in found] == list(range(1, len(records) + 1))

    @pytest.mark.parametrize(
        ("line", "reason", "says"),
        [
            ('{"text": "a", "label": ', "not a JSON object", "at character 24"),
            ('{"text": "a", "label": NaN}', "not a JSON object", "NaN is no JSON value"),
            ('{"text": "a", "text": "b", "label": 1}', "not a JSON object", "'text' stands in the object twice"),
            ("[1, 2]", "not a JSON object", "holds a list, not an object"),
            ('{"text": "a", "lable": 1}', "missing column", "did you mean 'lable'"),
            ("[" * 100_000, "not a JSON object", "not JSON"),
        ],
    )
    def test_bad_lines(self, file, line, reason, says):
        found = rows(file, "jsonl", f'{{"text": "x", "label": 1}}\n\n{line}\n')
        assert isinstance(found[0], Row)
        assert found[1].reason == "blank line"
        assert found[2].reason == reason
        assert says in found[2].error.what
        assert found[2].error.where == f"{file}:3"

    @given(
        records=st.lists(st.fixed_dictionaries({"text": TEXT, "label": st.integers()}), min_size=1),
        indent=st.sampled_from([None, 0, 2]),
    )
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_a_list_of_objects_is_read_like_lines_of_them(self, file, records, indent):
        content = "\ufeff" + json.dumps(records, ensure_ascii=False, indent=indent) + "\n"
        found = rows(file, "jsonl", content)
        assert [row.values for row in found] == records
        assert [row.number for row in found] == list(range(1, len(records) + 1))
        lines = content.split("\n")
        for row in found:
            line, _, place = row.where.removeprefix(f"{file}:").partition(", object ")
            assert "{" in lines[int(line) - 1]
            assert int(place) == row.number

    @pytest.mark.parametrize(
        ("content", "line", "says"),
        [
            ('[{"text": "a", "label": 1},\n {"text": "b", ', 2, "not JSON"),
            ('[{"text": "a", "label": 1},\n\n {"text": "b"}', 3, "not JSON"),
            ('[\n{"text": "a", "label": 1}]\n[{"text": "b"}]', 2, "something follows the list"),
            ('[{"text": "a", "text": "b"}]', 1, "twice"),
            (b'[{"text": "a"},\n{"text": "\xff"}]', 2, "not UTF-8: byte 0xff"),
        ],
    )
    def test_a_broken_list_is_refused_by_its_line(self, file, content, line, says):
        with pytest.raises(DataError, match=says) as caught:
            rows(file, "jsonl", content)
        assert caught.value.where.partition(",")[0] == f"{file}:{line}"

    def test_what_is_no_object_in_a_list_is_one_bad_row(self, file):
        found = rows(file, "jsonl", '[{"text": "a", "label": 1}, 7,\n {"label": 2}]')
        assert [type(row) for row in found] == [Row, BadRow, BadRow]
        assert (found[1].reason, found[2].reason) == ("not a JSON object", "missing column")
        assert found[2].error.where == f"{file}:2, object 3"


class TestParquet:
    def write(self, path, **columns):
        pq.write_table(pa.table(columns), path, row_group_size=2)

    def test_rows_are_numbered_over_row_groups_and_types_are_kept(self, file):
        self.write(file, text=["a", "b", "c"], label=pa.array([1, None, 3]), other=[0, 0, 0])
        found = rows(file, "parquet")
        assert values(found) == [("a", 1), ("b", None), ("c", 3)]
        assert found[2].where == f"{file}: row 3"

    def test_dictionary_columns_and_bad_utf8(self, file):
        text = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"caf\xe9"], pa.binary()).buffers())
        self.write(file, text=text, label=pa.array(["x", "y"]).dictionary_encode())
        good, bad = rows(file, "parquet")
        assert values([good]) == [("ok", "x")]
        assert bad.error.where == f"{file}: row 2"
        assert "the text is not UTF-8: byte 0xe9 at byte 3" in bad.error.what

    def test_bad_utf8_within_a_list_is_one_bad_row(self, file):
        text = pa.Array.from_buffers(pa.string(), 3, pa.array([b"ok", b"caf\xe9", b"so"], pa.binary()).buffers())
        self.write(file, text=pa.ListArray.from_arrays([0, 1, 3], text), label=[["x"], ["y", "z"]])
        good, bad = rows(file, "parquet")
        assert values([good]) == [(["ok"], ["x"])]
        assert "the text is not UTF-8: byte 0xe9 at byte 3" in bad.error.what
        assert bad.error.where == f"{file}: row 2"

    def test_other_files_and_missing_columns(self, file):
        with pytest.raises(DataError, match="cannot be read as parquet"):
            rows(file, "parquet", b"text,label\n")
        self.write(file, texts=["a"], label=[1])
        with pytest.raises(DataError, match="did you mean 'texts'"):
            rows(file, "parquet")

    def test_a_damaged_file_is_the_files_fault(self, file):
        self.write(file, text=["a" * 100] * 50, label=["x"] * 50)
        content = bytearray(file.read_bytes())
        content[8:40] = b"\xff" * 32
        with pytest.raises(DataError, match="cannot be read as parquet"):
            rows(file, "parquet", bytes(content))
