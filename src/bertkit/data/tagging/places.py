"""Entities given by their places in a text, as annotation tools and CLUENER write them, to tokens with BIO tags.

Two forms of a row's `label`:
  a list, `[[start, end, "TYPE"], ...]` or `[{"start": 0, "end": 5, "label": "TYPE"}, ...]`, the end excluded, as spaCy,
  Prodigy, doccano and Label Studio (`"labels": ["TYPE"]`) have it; tokens are words;
  an object, `{"TYPE": {"MENTION": [[start, end], ...]}}`, the end included, as CLUENER has it; tokens are characters.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

from bertkit.data.tables.rows import Row
from bertkit.data.tagging.schemes import Entity, write_tags
from bertkit.data.tagging.words import token_places, word_places
from bertkit.data.task_examples import Tally
from bertkit.data.task_labels import UnusableError

EMPTY = "empty sentence"
BAD_SPAN = "an entity's place is wrong"
OVERLAPPING = "overlapping entity left out"
WIDENED = "entity widened to whole words"

Placed = tuple[list[str], list[str], str, list[int], list[int]]
"""Tokens, their tags, the text, and where each token begins and ends in it."""

# A tool that is written in JavaScript counts most emoji twice.
_OFFSETS = "Offsets count characters from 0, an emoji as one; the end is excluded."
# What tools call the parts of an entity.
_STARTS, _ENDS = ("start", "start_offset"), ("end", "end_offset")
_TYPES = ("label", "type", "entity_type", "entity", "labels")


def from_places(row: Row, *, repair: bool, tally: Tally) -> Placed:
    """The tagged tokens of a row with `text` and `label`.

    Raises:
        UnusableError: an entity is not where it is said to be, overlaps another, or ends within a word, unless `repair` has
            the shorter left out and words taken whole, each counted.
    """
    text, label = row.values["text"], row.values["label"]
    if not isinstance(text, str) or not text.strip():
        raise UnusableError(EMPTY, "has no text")
    if isinstance(label, list):
        places = word_places(text)
        given = [_entity(one, text) for one in label]
    elif isinstance(label, dict):
        # Spaces between characters are no tokens.
        places = token_places(text, "characters")
        given = list(_of_types(text, label))
    else:
        raise UnusableError(BAD_SPAN, f"label is neither an object of types nor a list of entities: {str(label)[:60]}")
    entities = _apart([_in_tokens(one, places, text, repair=repair, tally=tally) for one in given], repair, tally)
    starts, ends = [start for start, _ in places], [end for _, end in places]
    return [text[i:j] for i, j in places], write_tags(entities, len(places)), text, starts, ends


def _entity(given: Any, text: str) -> Entity:
    """An entity of the list form, its place in characters."""
    said = None
    match given:
        case [start, end, kind]:
            pass
        case dict():
            said = given.get("text")
            names = (_STARTS, _ENDS, _TYPES)
            start, end, kind = (next((given[name] for name in known if name in given), None) for known in names)
        case _:
            start = end = kind = None
    if isinstance(kind, list) and len(kind) == 1:
        kind = kind[0]
    if type(start) is not int or type(end) is not int or not isinstance(kind, str) or not kind:
        what = f"an entity is {str(given)[:60]}"
        raise UnusableError(BAD_SPAN, what, 'Write [start, end, "TYPE"], or {"start": , "end": , "label": }.')
    _check_type(kind)
    if not 0 <= start < end <= len(text) or not text[start:end].strip():
        what = f"{kind} stands at {start} to {end}, where there is nothing: the text has {len(text)} characters"
        raise UnusableError(BAD_SPAN, what, _OFFSETS)
    found = text[start:end]
    if isinstance(said, str) and _words(said) != _words(found):
        what = f"{kind} {said[:60]!r} is not what stands at {start} to {end}: {found[:60]!r}"
        raise UnusableError(BAD_SPAN, what, _OFFSETS)
    return Entity(kind, start, end)


def _check_type(kind: str) -> None:
    if kind != kind.strip():
        raise UnusableError(BAD_SPAN, f"the type {kind!r} has spaces around it", "Write it without them.")


def _words(text: str) -> list[str]:
    """What an entity says, whatever its spaces and line ends are written as."""
    return text.replace("\\n", " ").split()


def _in_tokens(entity: Entity, places: list[tuple[int, int]], text: str, *, repair: bool, tally: Tally) -> Entity:
    """The entity by the numbers of its tokens."""
    first = bisect_right(places, entity.start, key=itemgetter(1))
    last = bisect_left(places, entity.end, key=itemgetter(0)) - 1
    if first > last:
        raise UnusableError(BAD_SPAN, f"{entity.type} at {entity.start} to {entity.end} holds no token")
    begin, stop = places[first][0], places[last][1]
    if begin < entity.start or entity.end < stop:
        if not repair:
            what = f"{entity.type} {text[entity.start : entity.end]!r} is part of a word of {text[begin:stop]!r}"
            raise UnusableError(
                BAD_SPAN, what, "Correct its offsets, or have whole words taken and counted: source.repair_tags=true."
            )
        tally.changed[WIDENED] += 1
    return Entity(entity.type, first, last + 1)


def _apart(entities: list[Entity], repair: bool, tally: Tally) -> list[Entity]:
    """Entities that do not overlap: of two that do the longer is kept where `repair` allows it."""
    kept: list[Entity] = []
    owners: dict[int, Entity] = {}  # of tokens
    for entity in sorted(entities, key=lambda one: (one.start - one.end, one.start)):
        rival = next((owners[token] for token in range(entity.start, entity.end) if token in owners), None)
        if rival is None:
            kept.append(entity)
            owners.update(dict.fromkeys(range(entity.start, entity.end), entity))
        elif repair:
            tally.changed[OVERLAPPING] += 1
        else:
            shared = max(rival.start, entity.start)
            what = f"a {rival.type} and a {entity.type} overlap at token {shared + 1}, which tags cannot say"
            raise UnusableError(BAD_SPAN, what, "Leave one out, or have the shorter left out: source.repair_tags=true.")
    return kept


def _of_types(text: str, label: dict[str, Any]) -> Iterator[Entity]:
    """The entities of the object form."""
    for kind, mentions in label.items():
        _check_type(kind)
        for mention, spans in _pairs(kind, mentions):
            for span in spans:
                if not (isinstance(span, list) and len(span) == 2 and all(type(place) is int for place in span)):
                    raise UnusableError(BAD_SPAN, f"{kind} {mention!r} stands at {str(span)[:60]}, no pair of numbers")
                start, end = span
                found = text[start : end + 1] if start >= 0 else ""
                if found != mention or not mention or mention != mention.strip():
                    what = f"{kind} {mention!r} is not what stands at {start} to {end}: {found[:60]!r}"
                    raise UnusableError(BAD_SPAN, what, "Offsets count characters; the end is the last one's.")
                yield Entity(kind, start, end + 1)


def _pairs(kind: str, mentions: Any) -> Iterable[tuple[str, list[Any]]]:
    if kind and isinstance(mentions, dict) and all(isinstance(spans, list) for spans in mentions.values()):
        return mentions.items()
    what = f"the type {kind!r} has {str(mentions)[:60]}, not an object of mentions and their places"
    raise UnusableError(BAD_SPAN, what, 'Write {"TYPE": {"MENTION": [[start, end], ...]}}.')
