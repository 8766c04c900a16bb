"""CSV and TSV to rows, every value the text that stands in the file.

Comma-separated files quote values with `"` (RFC 4180). Tab-separated ones by custom do not: there a `"` is a
character like any other, and a reader that takes it for a quote joins rows in silence.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertkit.data.tables.lines import Encoding, Lines, usable_lines
from bertkit.data.tables.rows import BLANK_LINE, NOT_UTF8, BadRow, Columns, Row, find_columns
from bertkit.errors import DataError

RAGGED = "wrong number of columns"
MALFORMED = "broken quotes"

# Far above any document; a quote that is never closed would otherwise take the whole file for one value.
_LONGEST_VALUE = 2**24


@dataclass(frozen=True, slots=True)
class _Record:
    number: int
    fields: list[str]


def read_delimited(
    path: Path, *, columns: Columns, delimiter: str, quoting: bool, header: bool = True, encoding: Encoding = "utf-8"
) -> Iterator[Row | BadRow]:
    """The rows of a CSV or TSV file.

    Args:
        columns: role to column, by name or by number from 1.
        delimiter: one character.
        quoting: whether `"` around a value is not part of it.
        header: whether the first record names the columns.

    Raises:
        DataError: the file is empty, a column is missing or named twice, the header is a row, or a quote is never closed.
    """
    lines = Lines(path, encoding)
    records = _quoted(lines, delimiter) if quoting else _unquoted(lines, delimiter)
    first = next((record for record in records if not _is_blank(record)), None)
    if first is None:
        raise DataError("is empty", where=str(path))
    if isinstance(first, BadRow):
        raise first.error or DataError("cannot be read", where=lines.where(first.number))
    names = first.fields if header else None
    width, where = len(first.fields), lines.where(first.number)
    if names is not None:
        _check_header(names, delimiter, where)
    places = find_columns(columns, names, width, where=where, by_number=True)
    if not header:
        yield _row(first, width, places, lines)
    unnamed = [] if names is None else _unnamed(columns, places, names)
    for record in records:
        row = record if isinstance(record, BadRow) else _row(record, width, places, lines)
        if unnamed and isinstance(row, Row):
            _refuse_row_as_header(row, {role: first.fields[places[role]] for role in unnamed}, where)
        yield row


def _row(record: _Record, width: int, places: dict[str, int], lines: Lines) -> Row | BadRow:
    where = lines.where(record.number)
    if len(record.fields) != width:
        what = f"has {len(record.fields)} columns, the first row has {width}"
        remedy = "Look for a separator inside a value, or a value that is missing."
        return BadRow(record.number, RAGGED, DataError(what, where=where, remedy=remedy))
    return Row(record.number, where, {role: record.fields[place] for role, place in places.items()})


def _check_header(names: Sequence[str], delimiter: str, where: str) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f"the header has the column {twice[0]!r} more than once", where=where)
    other = next((sign for sign in "\t,;" if sign in names[0]), None) if len(names) == 1 else None
    if other and other != delimiter:
        shown = {"\t": "tabs", ",": "commas", ";": "semicolons"}[other]
        setting = {"\t": "source.format=tsv", ",": "source.format=csv", ";": "source.delimiter=';'"}[other]
        raise DataError(f"the header is one column with {shown} in it", where=where, remedy=f"Set {setting}.")


def _unnamed(columns: Columns, places: dict[str, int], names: Sequence[str]) -> list[str]:
    """The roles whose column is given by number though a header is read; not those that pandas has numbered."""
    if (filled := [name for name in names if name]) == [str(i) for i in range(len(filled))]:
        return []
    return [role for role, place in places.items() if isinstance(columns[role], int) and names[place].strip()]


def _refuse_row_as_header(row: Row, header: dict[str, str], where: str) -> None:
    """A header does not say what a row says: the first row would be lost."""
    for role, name in header.items():
        if row.values[role] == name:
            what = f"was read as the header, and its {role} is {name[:60]!r} like that of line {row.number}"
            remedy = "Add source.header=false; if it is a header, give the columns by name."
            raise DataError(what, where=where, remedy=remedy)


def _unquoted(lines: Lines, delimiter: str) -> Iterator[_Record | BadRow]:
    for text in usable_lines(lines):
        yield text if isinstance(text, BadRow) else _Record(lines.number, text.split(delimiter))


def _quoted(lines: Lines, delimiter: str) -> Iterator[_Record | BadRow]:
    """Records by the rules of CSV; one may span several lines, and is numbered by its first."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_VALUE))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            error = _broken(e, number, lines)
            # What spans lines has swallowed an unknown number of rows, which no count could make good.
            if lines.number > number or "end of data" in str(e):
                raise error from None
            lines.bad_bytes("")
            yield BadRow(number, MALFORMED, error)
            continue
        if bad := lines.bad_bytes("".join(fields)):
            yield BadRow(number, NOT_UTF8, bad)
        elif not fields:
            yield BadRow(number, BLANK_LINE)
        else:
            yield _Record(number, fields)


def _broken(error: csv.Error, number: int, lines: Lines) -> DataError:
    text = str(error)
    if "end of data" in text or "field larger" in text:
        what = f"a quote opens in the row that begins here and is not closed by line {lines.number}"
    elif "new-line character" in text:
        what = "a carriage return stands in the middle of a line"
    else:
        what = "a quoted value goes on after its closing quote"
    return DataError(
        what,
        where=lines.where(number),
        remedy='Inside a quoted value write a quote as "". If the file does not quote values, set source.quoting=false.',
    )


def _is_blank(record: _Record | BadRow) -> bool:
    return isinstance(record, BadRow) and record.error is None
