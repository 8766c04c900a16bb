"""JSON to rows: one object a line, or a list of objects, values as JSON types them."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from bertkit.data.tables.lines import Lines, without_line_end
from bertkit.data.tables.rows import BLANK_LINE, MISSING_COLUMN, NOT_UTF8, BadRow, Columns, Row, find_columns
from bertkit.errors import DataError

NOT_JSON = "not a JSON object"

ONE_A_LINE = 'Write one object a line, {"text": "...", "label": "..."}, or a list of such objects.'

_LIST = re.compile(r"\s*\[\s*\{")
_BETWEEN = re.compile(r"[\s,]*")


def read_json_lines(path: Path, *, columns: Columns, optional: Sequence[str] = ()) -> Iterator[Row | BadRow]:
    """The rows of a file; columns go by name, and `optional` fields are read where a record has them.

    The objects of a list are numbered from 1, and `where` names the line they begin in too; a list is read as a whole.

    Raises:
        DataError: a list breaks off, or something follows it.
    """
    lines = Lines(path)
    if is_list(path):
        for number, (where, record) in enumerate(_records(lines), start=1):
            yield record if isinstance(record, BadRow) else _row(number, where, record, columns, optional)
        return
    for line in lines:
        record = _record(without_line_end(line), lines)
        if isinstance(record, BadRow):
            yield record
        else:
            yield _row(lines.number, lines.where(lines.number), record, columns, optional)


def is_list(path: Path) -> bool:
    """Whether a file begins like a list of objects."""
    first = "".join(islice(Lines(path), 100))
    return _LIST.match(first) is not None


def first_objects(path: Path, count: int = 1) -> list[dict[str, Any]]:
    """The first records of a file, of lines or a list, up to one that is none, or breaks off."""
    lines, found = Lines(path), list[dict[str, Any]]()
    # What breaks off is told by whoever reads the file whole.
    with suppress(ValueError, RecursionError, DataError):
        records: Iterator[Any]
        if is_list(path):
            records = (record for _, record in _records(lines))
        else:
            records = (json.loads(line) for line in map(without_line_end, lines) if line.strip())
        for record in islice(records, count):
            if not isinstance(record, dict):
                break
            found.append(record)
    return found


def _records(lines: Lines) -> Iterator[tuple[str, dict[str, Any] | BadRow]]:
    """The place of each object of a list, and the object; whatever else the list holds is refused."""
    text = "".join(lines)
    if error := lines.bad_bytes(text):
        raise error
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
    place, line, number = text.index("[") + 1, 1, 0
    while True:
        begin = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]  # it matches nothing too
        line += text.count("\n", place, begin)
        where = f"{lines.where(line)}, object {number + 1}"
        if text[begin : begin + 1] == "]":
            break
        number += 1
        try:
            record, place = decoder.raw_decode(text, begin)
        except json.JSONDecodeError as e:
            what = f"not JSON: {e.msg} at character {e.colno}"
            raise DataError(what, where=lines.where(e.lineno), remedy="The list cannot be read further.") from None
        except (ValueError, RecursionError) as e:
            raise DataError(f"not JSON: {e}", where=where, remedy="The list cannot be read further.") from None
        line += text.count("\n", begin, place)
        if isinstance(record, dict):
            yield where, record
        else:
            yield where, BadRow(number, NOT_JSON, _no_object(record, where))
    if text[begin + 1 :].strip():
        raise DataError("something follows the list", where=lines.where(line), remedy=ONE_A_LINE)


def _record(text: str, lines: Lines) -> dict[str, Any] | BadRow:
    """The object of a line."""
    number, where = lines.number, lines.where(lines.number)
    if error := lines.bad_bytes(text):
        return BadRow(number, NOT_UTF8, error)
    if not text.strip():
        return BadRow(number, BLANK_LINE)
    try:
        record = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as e:
        what = f"not JSON: {e.msg} at character {e.pos + 1}"
        return BadRow(number, NOT_JSON, DataError(what, where=where, remedy=ONE_A_LINE))
    except (ValueError, RecursionError) as e:
        return BadRow(number, NOT_JSON, DataError(f"not JSON: {e}", where=where))
    return record if isinstance(record, dict) else BadRow(number, NOT_JSON, _no_object(record, where))


def _no_object(record: Any, where: str) -> DataError:
    return DataError(f"holds a {type(record).__name__}, not an object", where=where, remedy=ONE_A_LINE)


def _row(number: int, where: str, record: dict[str, Any], columns: Columns, optional: Sequence[str]) -> Row | BadRow:
    names = list(record)
    try:
        places = find_columns(columns, names, len(names), where=where)
    except DataError as e:
        return BadRow(number, MISSING_COLUMN, e)
    values = {role: record[names[place]] for role, place in places.items()}
    return Row(number, where, values | {name: record[name] for name in optional if name in record})


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name!r} stands in the object twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
