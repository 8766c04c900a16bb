"""Token stores made of numbers, so that every sequence can be traced to its sentence."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from bertkit import storage
from bertkit.data.token_store import EncodedDocuments, TokenStore, encode_documents, write_split
from bertkit.text.encoders import Encoded

MakeStore = Callable[..., TokenStore]


@pytest.fixture(scope="module")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """A store of documents given as lists of sentences given as lists of ids.

    Ids that are `continuing` do not start a word; so many documents are written `together`.
    """

    def make(
        documents: list[list[list[int]]],
        vocab_size: int = 60_000,
        continuing: Callable[[int], bool] = lambda number: False,
        together: int = 3,
    ) -> TokenStore:
        out = tmp_path_factory.mktemp("store")

        def encode(texts: list[str]) -> Encoded:
            rows = [[int(w) for w in text.split()] for text in texts]
            ids = [number for row in rows for number in row]
            return Encoded(
                np.array(ids, dtype=np.uint32),
                np.array([len(row) for row in rows], dtype=np.int64),
                np.array([not continuing(number) for number in ids], dtype=np.bool_),
            )

        def encoded() -> Iterator[EncodedDocuments]:
            for start in range(0, len(documents), together):
                some = documents[start : start + together]
                texts = [" ".join(map(str, ids)) for sentences in some for ids in sentences]
                yield encode_documents(texts, np.array([len(one) for one in some], dtype=np.int64), encode)

        counts = write_split(out, "train", encoded(), vocab_size=vocab_size)
        storage.write_json(out / "meta.json", {"vocab_size": vocab_size, "counts": {"train": counts}})
        return TokenStore(out, "train")

    return make
