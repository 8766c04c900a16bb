"""Token stores made of numbers, so that every sequence can be traced to its sentence."""

from collections.abc import Callable

import pytest

from bertkit import storage
from bertkit.data.token_store import TokenStore, write_split

MakeStore = Callable[[list[list[list[int]]]], TokenStore]


@pytest.fixture(scope="module")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """A store of documents given as lists of sentences given as lists of ids."""

    def make(documents: list[list[list[int]]], vocab_size: int = 60_000) -> TokenStore:
        out = tmp_path_factory.mktemp("store")
        texts = [(str(i), [" ".join(map(str, ids)) for ids in sentences]) for i, sentences in enumerate(documents)]
        counts = write_split(
            out, "train", texts, lambda batch: [[int(w) for w in text.split()] for text in batch], vocab_size=vocab_size
        )
        storage.write_json(out / "meta.json", {"vocab_size": vocab_size, "counts": {"train": counts}})
        return TokenStore(out, "train")

    return make
