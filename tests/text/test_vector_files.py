"""Word vectors of others are read whatever their format, and what is wrong in them is named."""

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.errors import DataError
from bertkit.text.vector_files import Vectors, read_vectors, write_vectors

WORDS = ["film", "北京", "a", "3.5"]
VALUES = np.array([[1.5, -2.25, 3], [0.5, 0, 1e-3], [7, 8, 9], [-1, 2, -3]], dtype=np.float32)


def text(words: list[str], values: np.ndarray, *, header: bool) -> bytes:
    lines = [f"{len(words)} {values.shape[1]}"] if header else []
    lines += [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, values.tolist(), strict=True)]
    return ("\n".join(lines) + "\n").encode()


def binary(words: list[str], values: np.ndarray, *, line_ends: bool) -> bytes:
    end = b"\n" if line_ends else b""
    rows = [word.encode() + b" " + row.tobytes() + end for word, row in zip(words, values, strict=True)]
    return f"{len(words)} {values.shape[1]}\n".encode() + b"".join(rows)


@pytest.mark.parametrize(
    "content",
    [
        text(WORDS, VALUES, header=True),
        text(WORDS, VALUES, header=False),
        binary(WORDS, VALUES, line_ends=True),
        binary(WORDS, VALUES, line_ends=False),
        b"\xef\xbb\xbf" + text(WORDS, VALUES, header=True),
        b"\xef\xbb\xbf" + text(WORDS, VALUES, header=False).replace(b"\n", b"\r\n"),
        gzip.compress(text(WORDS, VALUES, header=False), mtime=0),
        gzip.compress(binary(WORDS, VALUES, line_ends=True), mtime=0),
        bz2.compress(text(WORDS, VALUES, header=True)),
    ],
    ids=[
        "word2vec text",
        "GloVe",
        "word2vec binary",
        "gensim binary",
        "text of Windows",
        "GloVe of Windows",
        "packed GloVe",
        "packed binary",
        "bzip2",
    ],
)
def test_every_format_gives_the_same_vectors(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(content)
    found = read_vectors(path)
    assert found.words == WORDS
    np.testing.assert_allclose(found.values, VALUES)
    some = read_vectors(path, {"a", "film", "absent"})
    assert some.words == ["film", "a"]
    np.testing.assert_allclose(some.values, VALUES[[0, 2]])


@given(
    st.lists(
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5), min_size=1, max_size=6, unique=True
    ),
    st.integers(2, 5),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], width: int, ends: bool
) -> None:
    values = np.random.default_rng(len(words)).standard_normal((len(words), width)).astype(np.float32)
    path = tmp_path_factory.mktemp("v") / "v.bin"
    path.write_bytes(binary(words, values, line_ends=ends))
    found = read_vectors(path)
    assert found.words == words
    np.testing.assert_array_equal(found.values, values)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), min_size=1, max_size=4, unique=True),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_word_without_a_space_comes_back(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], to_binary: bool
) -> None:
    values = np.random.default_rng(len(words)).standard_normal((len(words), 3)).astype(np.float32)
    path = tmp_path_factory.mktemp("v") / "v"
    if any(not word or set(word) & set(" \t\n\v\f\r") for word in words):
        with pytest.raises(DataError, match="cannot stand in a word2vec file"):
            write_vectors(path, Vectors(words, values), binary=to_binary)
        return
    write_vectors(path, Vectors(words, values), binary=to_binary)
    found = read_vectors(path)
    assert found.words == words
    np.testing.assert_array_equal(found.values, values)


def test_any_white_space_stands_between_numbers(tmp_path: Path) -> None:
    """A word does not take in what stands between it and its numbers."""
    path = tmp_path / "v"
    for content in (b"a  1   2 \nb c\t3\t4\n", b"2 2\na\t1 2\nb c  3 4\n", b" a 1 2\n\tb c 3 4\n"):
        path.write_bytes(content)
        found = read_vectors(path)
        assert found.words == ["a", "b c"]
        assert found.values.tolist() == [[1, 2], [3, 4]]


def test_a_word_of_glove_may_hold_spaces_and_of_two_the_first_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2\n. . . 3 4\nthe 5 6\n")
    found = read_vectors(path)
    assert found.words == ["the", ". . ."]
    assert found.values.tolist() == [[1, 2], [3, 4]]
    assert "1 words stand there again" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"2 2\na 1 2\nb 1\n", r"v:3: has 1 numbers after the word, not 2"),
        (b"2 2\na 1 2 3\nb 4 5 6\n", r"v:2: has 3 numbers after the word, and the header promises 2"),
        (b"2 9\na 1 2\nb 4 5\n", r"(?s)header promises 2 words.*second line is not a word and 9 numbers"),
        (b"a 1 2\nb 1 x\n", r"v:2: is not a word and 2 numbers"),
        (b"a 1 2\nb nan 1\n", r"v:2: has a number that is not finite, of the word 'b'"),
        (b"a 1 2\n\xff 3 1\n", r"v:2: has a word that is not UTF-8"),
        (gzip.compress(text(WORDS, VALUES, header=True), mtime=0)[:-12], r"v: Compressed file ended"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 30, r"v: Error -3 while decompressing"),
        (bz2.compress(text(WORDS, VALUES, header=True))[:-12], r"v: Compressed file ended"),
        (b"BZh9" + b"\xff" * 30, r"v: Invalid data stream"),
        (b"PK\x03\x04" + b"\xff" * 30, r"(?s)v: is a zip archive.*Unpack it"),
        (b"a 1 2\n  3 1\n", r"v:2: has an empty word"),
        (b"", r"v.* holds no vectors"),
        (b"0 2\n", r"v.* holds no vectors"),
        (b"1 0\na\n", r"v:1: promises vectors of 0 numbers"),
        (b"3 2\na 1 2\nb 1 1\n", r"holds 2 words, and its header promises 3"),
        (b"1 2\na 1 2\na 1 1\n", r"holds 2 words, and its header promises 1"),
        (b"2 99999999999999999999\na 1 2\n", r"v:1: promises vectors of 9999"),
        (binary(WORDS, VALUES, line_ends=False)[:-5], r"word 4: ends here, and its header promises 4 words"),
        (binary(WORDS, VALUES, line_ends=True) + b"b", r"goes on after the 4 words that its header promises"),
        (binary(["", *WORDS[1:]], VALUES, line_ends=True), r"word 1: has an empty word"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_vectors(tmp_path / "v")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_vectors(tmp_path / "absent.txt")
