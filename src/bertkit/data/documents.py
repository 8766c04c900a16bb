"""Raw documents to a corpus: cleaned, split into sentences, without duplicates, the same bytes for any worker count."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import xxhash

from bertkit import storage
from bertkit.data.shards import PREFIX, SHARD_CHARACTERS, Document, Holdout, ShardWriter, Split
from bertkit.data.sources.raw import RawDocument, Tally
from bertkit.data.worker_pool import ordered_map
from bertkit.errors import DataError, StageError
from bertkit.text.cleaning import clean_with_reasons
from bertkit.text.sentences import split_counting

EMPTY = "empty"
DUPLICATE = "duplicate"
FEW_SENTENCES = "too few sentences"
FEW_CHARACTERS = "too few characters"
CUT = "overlong sentence cut"

# What one worker takes at a time; several of these are in memory for each worker.
_BATCH_CHARACTERS = 250_000
_BATCH_DOCUMENTS = 500
# Starting workers takes longer than this many batches do.
_BATCHES_IN_PROCESS = 20

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of one raw document: a document, or the reason why there is none."""

    document: Document | None
    dropped: str | None
    changed: tuple[str, ...]


def build(
    raw: Iterable[RawDocument],
    out: Path,
    *,
    tally: Tally,
    language: str,
    min_sentences: int = 1,
    min_characters: int = 0,
    heldout_percentage: float = 2.0,
    num_workers: int = 1,
    shard_characters: int = SHARD_CHARACTERS,
    progress: Progress | None = None,
) -> None:
    """Write `documents-*.parquet` and `heldout-*.parquet` into `out` and count everything in `tally`.

    Memory holds a few batches of documents for each worker, one row group for each split, and about 100 bytes for
    each document kept (its hash, to know duplicates by). A document takes some ten times its own size for a while.

    Args:
        raw: read lazily, in order; `tally` may be shared with its reader, which counts what it drops itself.
        min_sentences, min_characters: documents with fewer are dropped.
        num_workers: processes that clean and split; 0 or 1 for none beside this one.
        progress: called with the number of documents and characters of each batch that is done.

    Raises:
        DataError: no document was kept, or the source has bad data. No shard is left.
    """
    if existing := [path for prefix in PREFIX.values() for path in out.glob(f"{prefix}-*.parquet")]:
        raise StageError("a corpus lies here already", where=str(existing[0]), remedy="Give an empty directory.")
    prepare = partial(_prepare_batch, language=language, min_sentences=min_sentences, min_characters=min_characters)
    try:
        with ExitStack() as stack:
            writers = {
                split: stack.enter_context(ShardWriter(out, prefix, shard_characters=shard_characters))
                for split, prefix in PREFIX.items()
            }
            holdout = Holdout(heldout_percentage)
            unique = _unique(_prepared(raw, prepare, num_workers, progress), tally)
            dealt = chain((one for document in unique for one in holdout.add(document)), _at_the_end(holdout))
            for split, document in dealt:
                writers[split].write(document)
                _count(tally, split, document)
        if not tally.documents["train"]:
            raise _nothing_kept(tally, min_sentences, min_characters)
    except BaseException:
        for prefix in PREFIX.values():
            for path in out.glob(f"{prefix}-*.parquet"):
                storage.remove_tree(path)
        raise


def _at_the_end(holdout: Holdout) -> Iterator[tuple[Split, Document]]:
    """A generator, so that it is asked only when every document has been dealt."""
    yield from holdout.end()


def _prepared(
    raw: Iterable[RawDocument],
    prepare: Callable[[list[RawDocument]], list[Prepared]],
    num_workers: int,
    progress: Progress | None,
) -> Iterator[Prepared]:
    sizes: deque[tuple[int, int]] = deque()

    def batches() -> Iterator[list[RawDocument]]:
        for batch in _batches(raw):
            sizes.append((len(batch), sum(len(document.text) for document in batch)))
            yield batch

    for done in ordered_map(prepare, batches(), num_workers, in_process=_BATCHES_IN_PROCESS):
        yield from done
        documents, characters = sizes.popleft()
        if progress:
            progress(documents, characters)


def _unique(prepared: Iterable[Prepared], tally: Tally) -> Iterator[Document]:
    """The first document of each text; what is dropped and changed is counted."""
    seen: set[int] = set()
    for one in prepared:
        tally.changed.update(one.changed)
        if one.document is None:
            tally.drop(str(one.dropped))
        elif one.document.digest in seen:
            tally.drop(DUPLICATE)
        else:
            seen.add(one.document.digest)
            tally.read += 1
            yield one.document


def _count(tally: Tally, split: Split, document: Document) -> None:
    tally.documents[split] += 1
    tally.sentences[split] += len(document.sentences)
    tally.characters[split] += document.characters


def _nothing_kept(tally: Tally, min_sentences: int, min_characters: int) -> DataError:
    if not tally.read:
        return DataError("the source holds no document", remedy="Check source.files; are the files empty?")
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in tally.dropped.most_common())
    return DataError(
        f"no document is left of {tally.read:,}: {reasons}",
        remedy=f"Check the source; lower min_sentences (now {min_sentences}) or min_characters (now {min_characters}).",
    )


# --- one batch, in any process ---------------------------------------------------------------------------------


def _prepare_batch(
    batch: list[RawDocument], *, language: str, min_sentences: int, min_characters: int
) -> list[Prepared]:
    return [_prepare(document, language, min_sentences, min_characters) for document in batch]


def _prepare(raw: RawDocument, language: str, min_sentences: int, min_characters: int) -> Prepared:
    text, changed = clean_with_reasons(raw.text)
    if not text:
        return Prepared(None, EMPTY, changed)
    sentences, cuts = split_counting(text, language)
    if cuts:
        changed = (*changed, CUT)
    if len(sentences) < min_sentences:
        return Prepared(None, FEW_SENTENCES, changed)
    if len(text) < min_characters:
        return Prepared(None, FEW_CHARACTERS, changed)
    return Prepared(Document(raw.id, sentences, xxhash.xxh3_128_intdigest(text.encode())), None, changed)


# --- batches -------------------------------------------------------------------------------------------------


def _batches(raw: Iterable[RawDocument]) -> Iterator[list[RawDocument]]:
    batch: list[RawDocument] = []
    characters = 0
    for document in raw:
        batch.append(document)
        characters += len(document.text)
        if characters >= _BATCH_CHARACTERS or len(batch) >= _BATCH_DOCUMENTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
