"""JSON lines to rows: one object a line, values as JSON types them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bertkit.data.tables.lines import Lines, without_line_end
from bertkit.data.tables.rows import BLANK_LINE, MISSING_COLUMN, NOT_UTF8, BadRow, Columns, Row, find_columns
from bertkit.errors import DataError

NOT_JSON = "not a JSON object"

ONE_A_LINE = 'Write one object a line: {"text": "...", "label": "..."}; of a list, jq -c ".[]" FILE makes such lines.'


def read_json_lines(path: Path, *, columns: Columns, optional: Sequence[str] = ()) -> Iterator[Row | BadRow]:
    """The rows of a JSON lines file; columns go by name, and `optional` fields are read where a record has them."""
    lines = Lines(path)
    for line in lines:
        yield _row(without_line_end(line), columns, optional, lines)


def _row(text: str, columns: Columns, optional: Sequence[str], lines: Lines) -> Row | BadRow:
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
    if not isinstance(record, dict):
        what = f"holds a {type(record).__name__}, not an object"
        return BadRow(number, NOT_JSON, DataError(what, where=where, remedy=ONE_A_LINE))
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
