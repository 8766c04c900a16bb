"""Rows of a file to tagged sentences: tokens, BIO tags, and a text in which every token has its place."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from bertkit.data.tables.rows import BadRow, Row
from bertkit.data.tagging.places import EMPTY, Placed, from_places
from bertkit.data.tagging.schemes import (
    Scheme,
    detect_scheme,
    misspelt_tag,
    read_tags,
    split_tag,
    with_type,
    write_tags,
)
from bertkit.data.task_examples import Tally, drop
from bertkit.data.task_labels import UnusableError, refuse_surrogates
from bertkit.errors import DataError

BROKEN = "tags break their scheme"
COUNTS_DIFFER = "tokens and tags differ in number"
NOT_STRINGS = "tokens or tags are not strings"
NO_NAME = "a tag's number has no name"
REPAIRED = "tags read leniently"
NOT_ACCEPTED = "the annotator did not accept it"

ANSWER = "answer"
"""The field in which Prodigy says whether the annotator accepted what the row says."""
_NOT_ACCEPTED = ("reject", "ignore")


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence: `tags` in BIO, `starts` and `ends` of each token in `text`, in characters.

    `where` is `file:line`, the file by name alone.
    """

    id: str
    tokens: list[str]
    tags: list[str]
    text: str
    starts: list[int]
    ends: list[int]
    where: str

    @property
    def content(self) -> str:
        """What splits are cut and compared by."""
        return self.text


def read_sentences(
    rows: Iterable[Row | BadRow],
    *,
    prefix: str,
    tally: Tally,
    folder: Path | None = None,
    max_bad_rows: int = 0,
    scheme: Scheme = "bio",
    repair: bool = False,
) -> Iterator[TaggedSentence]:
    """The sentences of a file, each with the id `prefix:line`.

    Args:
        rows: with `tokens` and `tags`, or `text` and `label`, see `places`.
        scheme: that of the tags.
        repair: whether tags that break their scheme are read leniently, and counted, instead of refused.

    Raises:
        DataError: the first unusable sentence above `max_bad_rows`, with its place.
    """
    for row in rows:
        tally.read += 1
        if isinstance(row, BadRow):
            drop(tally, row.reason, row.error, max_bad_rows)
            continue
        if row.values.get(ANSWER) in _NOT_ACCEPTED:
            drop(tally, NOT_ACCEPTED, None, max_bad_rows)
            continue
        try:
            if "label" in row.values:
                made = from_places(row, repair=repair, tally=tally)
            else:
                made = _from_tags(row, scheme, repair=repair, tally=tally)
            refuse_surrogates(made[2], "sentence")
            refuse_surrogates("".join(made[1]), "tag")
        except UnusableError as e:
            where = getattr(e, "where", None) or row.where
            drop(tally, e.reason, DataError(e.what, where=where, remedy=e.remedy), max_bad_rows)
            continue
        tokens, tags, text, starts, ends = made
        where = row.where.removeprefix(f"{folder}/")
        yield TaggedSentence(f"{prefix}:{row.number}", tokens, tags, text, starts, ends, where)


def scheme_of(rows: Sequence[Row | BadRow]) -> Scheme:
    """The scheme that the tags of all rows together are in.

    Raises:
        DataError: they would be taken for types, but are those of a scheme written otherwise, or are no tags at all: the
            tokens are.
    """
    scheme = detect_scheme(_all_tags(rows))
    if scheme in ("io", "token"):
        _refuse_misread(rows, scheme)
    return scheme


def _refuse_misread(rows: Sequence[Row | BadRow], scheme: Scheme) -> None:
    if (tag := misspelt_tag(tag for tags in _all_tags(rows) for tag in tags)) is not None:
        where = next(row.where for row, tags in _strings(rows, "tags") if tag in map(str.strip, tags))
        what = f"the tag {tag!r} seems to begin an entity, which BIO writes otherwise"
        remedy = f"Write B-PER, I-PER and O, with a hyphen and in capitals; or if they are types, say source.scheme={scheme}."
        raise DataError(what, where=where, remedy=remedy)
    if all(all(map(split_tag, tokens)) for _, tokens in _strings(rows, "tokens")):
        found = [(row.where, token) for row, tokens in _strings(rows, "tokens") for token in tokens if token != "O"]
        if found:
            remedy = "Say where they stand: source.columns.token=2 source.columns.tag=1; or columns.tokens and .tags."
            raise DataError(f"the tokens are tags, such as {found[0][1]!r}", where=found[0][0], remedy=remedy)


def with_types(rows: Sequence[Row | BadRow]) -> Sequence[Row | BadRow]:
    """The rows; where the tags of all are prefixes alone, with a type for them."""
    names = with_type(tag for tags in _all_tags(rows) for tag in tags)
    if all(tag == name for tag, name in names.items()):
        return rows
    return [_renamed(row, names) for row in rows]


def _renamed(row: Row | BadRow, names: Mapping[str, str]) -> Row | BadRow:
    if isinstance(row, BadRow) or not _are_strings(row.values.get("tags")):
        return row
    return Row(row.number, row.where, {**row.values, "tags": [names[tag] for tag in row.values["tags"]]})


def _all_tags(rows: Iterable[Row | BadRow]) -> Iterator[list[str]]:
    return (tags for _, tags in _strings(rows, "tags"))


def _strings(rows: Iterable[Row | BadRow], column: str) -> Iterator[tuple[Row, list[str]]]:
    """The rows in which a column is a list of strings, and the list."""
    for row in rows:
        if isinstance(row, Row) and _are_strings(values := row.values.get(column)):
            yield row, values


def _are_strings(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and set(map(type, values)) <= {str}


class _UnusableError(UnusableError):
    """`where` is the token's own place, where that is known."""

    def __init__(self, reason: str, what: str, remedy: str | None = None, where: str | None = None) -> None:
        super().__init__(reason, what, remedy)
        self.where = where


def _from_tags(row: Row, scheme: Scheme, *, repair: bool, tally: Tally) -> Placed:
    tokens, tags = row.values["tokens"], row.values["tags"]
    for name, values in (("tokens", tokens), ("tags", tags)):
        if not _are_strings(values):
            numbers = name == "tags" and isinstance(values, list) and set(map(type, values)) == {int}
            remedy = "Say what the numbers stand for: source.tag_names=[O, B-PER, I-PER, ...]." if numbers else None
            raise _UnusableError(NOT_STRINGS, f"{name} is not a list of strings: {str(values)[:60]}", remedy)
    if not tokens:
        raise _UnusableError(EMPTY, "has no tokens")
    if len(tokens) != len(tags):
        raise _UnusableError(COUNTS_DIFFER, f"has {len(tokens)} tokens and {len(tags)} tags")
    if "" in tokens:
        raise _UnusableError(EMPTY, f"token {tokens.index('') + 1} is empty")
    reading = read_tags(tags, scheme)
    if reading.broken and not repair:
        place, why = reading.broken[0]
        raise _UnusableError(
            BROKEN,
            f"token {place + 1} ({tokens[place]!r}): {why}; the tags were read as {scheme.upper()}",
            "Correct the tags, say what they are (source.scheme=...), or have them read leniently and counted: "
            "source.repair_tags=true.",
            f"{row.where.rpartition(':')[0]}:{row.values['lines'][place]}" if "lines" in row.values else None,
        )
    tally.changed[REPAIRED] += bool(reading.broken)
    text, starts, ends = join_tokens(tokens)
    return tokens, write_tags(reading.entities, len(tokens)), text, starts, ends


def join_tokens(tokens: list[str]) -> tuple[str, list[int], list[int]]:
    """A text of the tokens, and where each begins and ends in it.

    A space stands between two tokens unless one of them is East Asian at that side, as Chinese is written.
    """
    parts, starts, ends, length = [], [], [], 0
    for i, token in enumerate(tokens):
        if i and not (_is_wide(tokens[i - 1][-1]) or _is_wide(token[0])):
            parts.append(" ")
            length += 1
        starts.append(length)
        length += len(token)
        ends.append(length)
        parts.append(token)
    return "".join(parts), starts, ends


@cache
def _is_wide(character: str) -> bool:
    # Emoji are wide too, but no one's script.
    return unicodedata.east_asian_width(character) in ("W", "F") and unicodedata.category(character)[0] in "LMNP"
