"""Entities written as a tag for each token: IOB1, BIO, BIOES (BILOU), BMES and bare types, read strictly, turned into BIO."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Scheme = Literal["iob1", "bio", "bioes", "bmes", "io", "token"]
"""`io` and `token` have no prefixes: in `io` neighbours of one type are one entity, in `token` each is one, as parts of
speech are."""

_TAG = re.compile(r"([BIESMLU])-(.+)", re.DOTALL)
# Tags of a scheme in other letters or another order, such as b-per, B_PER or PER-B.
_ALIKE = re.compile(r"(?P<first>[BIESMLU])(?:[-_.].+)?|.+[-_.](?P<last>[BIESMLU])", re.DOTALL | re.IGNORECASE)
# The prefixes that each scheme has; BILOU is BIOES with other letters.
_LETTERS: Mapping[Scheme, str] = {"iob1": "BIO", "bio": "BIO", "bioes": "BIOESLU", "bmes": "BMESO"}
# Every scheme's prefixes in BIOES's letters.
_PREFIX = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}

UNTYPED = "span"
"""The type of entities whose tags name none."""


class Entity(NamedTuple):
    """Tokens `start` up to `end`, the end left out."""

    type: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sentence's tags say: its entities, and the places where they break their scheme, with why."""

    entities: list[Entity]
    broken: list[tuple[int, str]]


def split_tag(tag: str) -> tuple[str, str] | None:
    """Prefix, in BIOES's letters, and type; ("O", "") outside; None where it is no tag."""
    if tag == "O":
        return "O", ""
    found = _TAG.fullmatch(tag)
    return (_PREFIX[found[1]], found[2]) if found else None


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme that the tags are in, by the prefixes that occur.

    Among I and B alone it is IOB1 if more entities begin with I than with a B that follows no token of its own type:
    there B only parts two entities that touch. Else it is BIO, in which such an I is a mistake. Where no tag has a prefix
    they are types: with an `O` among them `io`, else `token`.
    """
    sentences = [[tag.strip() for tag in tags] for tags in sentences]
    seen = {tag for tags in sentences for tag in tags}
    if seen - {"O"} and not any(map(_TAG.fullmatch, seen)):
        return "io" if "O" in seen else "token"
    prefixes: set[str] = set()
    opening_i, free_b = 0, 0
    for tags in sentences:
        before = ""
        for tag in tags:
            if tag == "O":
                before = ""
                continue
            prefix, _, kind = tag.partition("-")
            prefixes.add(prefix)
            opening_i += prefix == "I" and before != kind
            free_b += prefix == "B" and before != kind
            before = kind
    if "M" in prefixes:
        return "bmes"
    if prefixes & set("ESLU"):
        return "bioes"
    return "iob1" if opening_i > free_b else "bio"


def misspelt_tag(tags: Iterable[str]) -> str | None:
    """A tag that `detect_scheme` would take for a type though all of them are a scheme's, written otherwise.

    All must be prefix and type, and some type begin entities and continue them, or some be `o`, so that types such as B_cell
    and E_coli are left alone; or all are CoNLL-2012's brackets, such as `(PER*`, `*` and `*)`.
    """
    given = {tag.strip() for tag in tags}
    seen = given - {"O", "o", "0"}
    found = {tag: _ALIKE.fullmatch(tag) for tag in sorted(seen)}
    for side in ("first", "last"):
        prefixes = {tag: match[side].upper() for tag, match in found.items() if match and match[side]}
        opened = {_type_beside(tag, side): tag for tag, prefix in prefixes.items() if prefix == "B"}
        goes_on = any(prefix in "IM" and _type_beside(tag, side) in opened for tag, prefix in prefixes.items())
        if len(prefixes) == len(found) and opened and (goes_on or "o" in given):
            return next(iter(opened.values()))
    opening = [tag for tag in found if tag.startswith("(")]
    return opening[0] if opening and all("*" in tag for tag in found) else None


def _type_beside(tag: str, side: str) -> str:
    """A tag without its prefix, which stands `first` or `last`."""
    return tag[1:] if side == "first" else tag[:-1]


def with_type(tags: Iterable[str]) -> dict[str, str]:
    """What tags become where all are prefixes alone, such as B, M, E and S of words: prefixes of one type, `UNTYPED`.

    Where some are more than that they stay as they are.
    """
    seen = set(tags)
    if "B" not in seen or seen - {"O", *_PREFIX}:
        return {tag: tag for tag in seen}
    return {tag: tag if tag == "O" else f"{tag}-{UNTYPED}" for tag in seen}


def read_tags(tags: Sequence[str], scheme: Scheme) -> Reading:
    """The entities of a sentence.

    Where tags break the scheme the reading is conlleval's: an entity begins wherever its type is new, and ends
    wherever another begins; the places are given in `broken`. Spaces around a tag are no part of it, and break it too.
    """
    if spaced := [(place, f"{tag!r} has spaces around it") for place, tag in enumerate(tags) if tag != tag.strip()]:
        reading = read_tags([tag.strip() for tag in tags], scheme)
        return Reading(reading.entities, spaced + reading.broken)
    if scheme in ("io", "token"):
        return _read_bare(tags, apart=scheme == "token")
    reader = _Reader(scheme)
    if tags.count("O") < len(tags):
        for place, tag in enumerate(tags):
            reader.step(place, tag)
    reader.finish(len(tags))
    return Reading(reader.entities, reader.broken)


def _read_bare(tags: Sequence[str], *, apart: bool) -> Reading:
    entities: list[Entity] = []
    for place, tag in enumerate(tags):
        if tag in ("O", ""):
            continue
        if entities and not apart and entities[-1].type == tag and entities[-1].end == place:
            entities[-1] = entities[-1]._replace(end=place + 1)
        else:
            entities.append(Entity(tag, place, place + 1))
    return Reading(entities, [(place, "the tag is empty") for place, tag in enumerate(tags) if not tag])


class _Reader:
    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        # Whether entities end with E or S, and whether they may begin with I.
        self._closes, self._lenient = scheme in ("bioes", "bmes"), scheme == "iob1"
        self._open: tuple[str, int] | None = None
        self.entities: list[Entity] = []
        self.broken: list[tuple[int, str]] = []

    def step(self, place: int, tag: str) -> None:
        if tag == "O" and self._open is None:
            return
        parts = split_tag(tag)
        if parts is None:
            self.broken.append((place, f"{tag!r} is no tag"))
            parts = "O", ""
        elif tag[0] not in _LETTERS[self._scheme]:
            self.broken.append((place, f"{tag!r} is no tag of {self._scheme.upper()}"))
        prefix, kind = parts
        goes_on = prefix in "IE" and self._open is not None and self._open[0] == kind
        if not goes_on:
            self._interrupt(place, tag)
            if prefix in "BIES":
                if prefix in "IE" and not (self._lenient and prefix == "I"):
                    self.broken.append((place, f"{tag!r} goes on with an entity that has not begun"))
                self._open = kind, place
        if prefix in "ES" and self._open is not None:
            self.entities.append(Entity(kind, self._open[1], place + 1))
            self._open = None

    def finish(self, length: int) -> None:
        self._interrupt(length, "the end")

    def _interrupt(self, place: int, by: str) -> None:
        if self._open is None:
            return
        if self._closes:
            self.broken.append((place - 1, f"the entity is not ended before {by!r}"))
        self.entities.append(Entity(self._open[0], self._open[1], place))
        self._open = None


def write_tags(entities: Iterable[Entity], length: int, scheme: Scheme = "bio") -> list[str]:
    """Tags of a sentence of `length` tokens; the entities must not overlap."""
    tags = ["O"] * length
    before_type, before_end = "", -1
    for entity in sorted(entities, key=lambda one: one.start):
        touching = before_end == entity.start and before_type == entity.type
        size = entity.end - entity.start
        bare = scheme in ("io", "token")
        prefixes = [""] * size if bare else [f"{prefix}-" for prefix in _prefixes(size, scheme, touching)]
        tags[entity.start : entity.end] = [prefix + entity.type for prefix in prefixes]
        before_type, before_end = entity.type, entity.end
    return tags


def _prefixes(size: int, scheme: Scheme, touching: bool) -> str:
    match scheme:
        case "bio":
            return "B" + "I" * (size - 1)
        case "iob1":
            return ("B" if touching else "I") + "I" * (size - 1)
        case _:
            middle = "M" if scheme == "bmes" else "I"
            return "S" if size == 1 else "B" + middle * (size - 2) + "E"
