"""What a user hands to a trained model, checked: one rule for every kind."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bertkit.data.task_labels import UnusableError, refuse_surrogates, shown
from bertkit.errors import BertkitError, DataError


def read_texts(given: Any, columns: Sequence[str], number: int) -> dict[str, Any]:
    """The texts of an input by column: a string where there is one column, a sequence in their order, or a mapping.

    Of a mapping's other entries the `id` is kept, so that it comes back with the prediction; its gold is not looked at.

    Raises:
        DataError: a text is missing, is no string, or has half a character.
    """
    match given:
        case str() if len(columns) == 1:
            found = {columns[0]: given}
        case Mapping():
            found = {name: given[name] for name in ("id", *columns) if name in given}
        case Sequence() if not isinstance(given, str) and len(given) == len(columns):
            found = dict(zip(columns, given, strict=True))
        case _:
            raise _refusal(f"is {shown(given)}", columns, number)
    for column in columns:
        if not isinstance(found.get(column), str):
            raise _refusal(f"has {column}: {shown(found.get(column))}", columns, number)
        if not found[column].strip():
            raise _refusal(f"has an empty {column}", columns, number)
        check_text(found[column], column, number)
    return found


def check_text(text: str, role: str, number: int) -> None:
    """Refuse a text with half a character, which no tokenizer reads.

    Raises:
        DataError: it has one; `role` and the `number` of the input say which.
    """
    try:
        refuse_surrogates(text, role)
    except UnusableError as e:
        raise DataError(f"input {number}: {e.what}", remedy=e.remedy) from None


def in_chunks(
    given: Iterable[Any], as_row: Callable[[Any, int], dict[str, Any]], *, size: int
) -> Iterator[list[dict[str, Any]]]:
    """Rows of the inputs, `size` at once; `as_row` takes an input and its number from 1.

    Where an input is refused, the rows before it come first, and the refusal after them.
    """
    rows: list[dict[str, Any]] = []
    try:
        for number, one in enumerate(given, 1):
            rows.append(as_row(one, number))
            if len(rows) == size:
                yield rows
                rows = []
    except BertkitError:
        if rows:
            yield rows
        raise
    if rows:
        yield rows


def _refusal(what: str, columns: Sequence[str], number: int) -> DataError:
    wanted = "a string" if len(columns) == 1 else f"{len(columns)} strings"
    return DataError(
        f"input {number} {what}", remedy=f"Give {wanted}, or an object with {' and '.join(map(repr, columns))}."
    )
