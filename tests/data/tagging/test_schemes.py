"""Every scheme writes the entities that it reads, and what breaks a scheme is told."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data.tagging.schemes import Entity, Scheme, detect_scheme, misspelt_tag, read_tags, with_type, write_tags

SCHEMES: tuple[Scheme, ...] = ("iob1", "bio", "bioes", "bmes")


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Entity], int]:
    """Entities of a sentence, some of them touching, and its length."""
    entities, place = [], draw(st.integers(0, 2))
    for _ in range(draw(st.integers(0, 5))):
        size = draw(st.integers(1, 4))
        entities.append(Entity(draw(st.sampled_from(["PER", "LOC", "B-side"])), place, place + size))
        place += size + draw(st.integers(0, 2))
    return entities, place + draw(st.integers(0, 2))


@given(sentences(), st.sampled_from(SCHEMES))
def test_what_is_written_is_read_back(sentence: tuple[list[Entity], int], scheme: Scheme) -> None:
    entities, length = sentence
    tags = write_tags(entities, length, scheme)
    assert len(tags) == length
    reading = read_tags(tags, scheme)
    assert reading.entities == entities
    assert not reading.broken


@given(st.lists(sentences(), min_size=1, max_size=4), st.sampled_from(SCHEMES))
def test_the_detected_scheme_reads_the_same_entities(given_: list[tuple[list[Entity], int]], scheme: Scheme) -> None:
    written = [write_tags(entities, length, scheme) for entities, length in given_]
    found = detect_scheme(written)
    assert [read_tags(tags, found).entities for tags in written] == [entities for entities, _ in given_]


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "E-X", "S-X", "M-X", "B-Y", "I-Y", "E-Y", "X", ""]), max_size=12))
def test_broken_tags_still_give_entities_that_do_not_overlap(tags: list[str]) -> None:
    for scheme in SCHEMES:
        entities = read_tags(tags, scheme).entities
        assert all(one.start < one.end <= other.start for one, other in pairwise(entities))
        again = read_tags(write_tags(entities, len(tags)), "bio")
        assert again.entities == entities
        assert not again.broken


@pytest.mark.parametrize(
    ("scheme", "tags", "place", "why"),
    [
        ("bio", "O I-PER", 1, "has not begun"),
        ("bio", "B-PER I-LOC", 1, "has not begun"),
        ("bio", "B-PER E-PER", 1, "no tag of BIO"),
        ("iob1", "O PER", 1, "is no tag"),
        ("bioes", "B-PER O", 0, "is not ended"),
        ("bioes", "O B-PER", 1, "is not ended"),
        ("bioes", "S-PER E-PER", 1, "has not begun"),
        ("bmes", "B-PER I-PER E-PER", 1, "no tag of BMES"),
    ],
)
def test_a_broken_scheme_is_told_with_its_place(scheme: Scheme, tags: str, place: int, why: str) -> None:
    broken = read_tags(tags.split(), scheme).broken
    assert (broken[0][0], why in broken[0][1]) == (place, True), broken


def test_bilou_is_read_as_bioes() -> None:
    tags = ["B-A", "I-A", "L-A", "U-B", "O"]
    assert detect_scheme([tags]) == "bioes"
    assert read_tags(tags, "bioes").entities == [Entity("A", 0, 3), Entity("B", 3, 4)]


def test_one_stray_i_does_not_make_bio_iob1() -> None:
    assert detect_scheme([["B-A", "I-A", "O", "B-B"], ["O", "I-A"], ["B-B"]]) == "bio"
    assert detect_scheme([["I-A", "I-A", "B-A", "O"], ["I-B"]]) == "iob1"


def test_types_without_prefixes_are_runs_where_there_is_an_o_and_else_one_a_token() -> None:
    names, words = ["PER", "PER", "O", "LOC", "PER"], ["NOUN", "NOUN", ".", "-LRB-"]
    assert (detect_scheme([names]), detect_scheme([words]), detect_scheme([["O"]])) == ("io", "token", "bio")
    assert read_tags(names, "io").entities == [Entity("PER", 0, 2), Entity("LOC", 3, 4), Entity("PER", 4, 5)]
    assert read_tags(words, "token").entities == [Entity(tag, i, i + 1) for i, tag in enumerate(words)]
    assert write_tags(read_tags(words, "token").entities, 4) == ["B-NOUN", "B-NOUN", "B-.", "B--LRB-"]
    for tags, scheme in ((names, "io"), (words, "token")):
        assert write_tags(read_tags(tags, scheme).entities, len(tags), scheme) == tags
    assert read_tags(["NOUN", ""], "token").broken == [(1, "the tag is empty")]


def test_prefixes_alone_are_of_one_type() -> None:
    assert with_type(["B", "M", "E", "S"])["M"] == "M-span"
    assert with_type(["B", "I", "O"]) == {"B": "B-span", "I": "I-span", "O": "O"}
    for kept in (["B", "I-PER"], ["S", "O"], ["B", "NOUN"]):
        assert with_type(kept) == {tag: tag for tag in kept}


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (["B_PER", "I_PER", "O", "B_LOC"], "B_LOC"),
        (["b-per", "i-per", "o"], "b-per"),
        (["b-per", "o"], "b-per"),
        (["PER-B", "PER-I", "O"], "PER-B"),
        (["b", "m", "e", "s"], "b"),
        (["(PER*", "*", "*)", "(LOC)*"], "(LOC)*"),
        (["*", "NN", "("], None),
        (["B_cell", "O"], None),  # types of their own
        (["B_cell", "T_cell", "I_x"], None),
        (["B_subtilis", "E_coli", "O"], None),
        (["HEP-B", "HEP-E", "O"], None),
        (["b", "i", "n", "v"], None),  # parts of speech
        (["NOUN", "X-B", "Y-I"], None),
    ],
)
def test_schemes_in_other_letters_are_told_from_types(tags: list[str], told: str | None) -> None:
    assert detect_scheme([tags]) in ("io", "token")
    assert misspelt_tag(tags) == told


def test_a_space_is_no_part_of_a_tag() -> None:
    for tags, scheme, entity in (
        (["B-PER ", "O"], "bio", Entity("PER", 0, 1)),
        (["PER", "PER "], "io", Entity("PER", 0, 2)),
    ):
        reading = read_tags(tags, scheme)  # type: ignore[arg-type]
        assert (reading.entities, len(reading.broken)) == ([entity], 1)
        assert "has spaces around it" in reading.broken[0][1]
    assert detect_scheme([["B-PER ", "O"], ["I-PER "]]) == "bio"
    assert read_tags(["B-New York"], "bio").entities == [Entity("New York", 0, 1)]
