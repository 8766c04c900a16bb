"""Word vectors of a stage to the file formats of word2vec, and files of others to an input of stages."""

from pathlib import Path

from bertkit import artifacts, storage
from bertkit.artifacts import WordVectors
from bertkit.errors import StageError


def export(folder: Path, file: Path, *, binary: bool) -> str:
    """Write the vectors in `folder` as a word2vec file; returns what was written, in words."""
    from bertkit.text.vector_files import Vectors, write_vectors

    words, values = WordVectors.open(folder).read()
    write_vectors(file, Vectors(words, values), binary=binary)
    return f"{len(words)} words, {values.shape[1]} numbers each"


def read_in(file: Path, folder: Path, *, binary: bool) -> str:
    """Make a word2vec or GloVe file a `WordVectors` folder; returns what was read, in words.

    Raises:
        DataError: the file is not what its first line says.
        StageError: the folder is not empty, or `binary` is asked for, which the file itself tells.
    """
    from bertkit.text.vector_files import read_vectors

    if binary:
        raise StageError("--binary says how to write a file, and this one is read", where=str(file))
    found = read_vectors(file)
    if folder.exists() and any(folder.iterdir()):
        raise StageError("is not empty", where=str(folder), remedy="Give an empty or a new directory.")
    storage.make_directory(folder)
    digest, made = storage.sha256(file), WordVectors(folder)
    made.write(found.words, found.values)
    artifacts.finish(made, {"stage": "convert-vectors", "fingerprint": digest[:10], "source": digest})
    return f"{len(found.words)} words, {found.values.shape[1]} numbers each"
