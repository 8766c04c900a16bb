"""A text as word ids in flat files, mapped into memory: what needs memory is the vocabulary, however long the text is."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit import storage
from bertkit.errors import DataError
from bertkit.text.word_level import frequent

_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class EncodedWords:
    """Some sentences: their distinct `words`, the text as numbers of these, and the length of each sentence."""

    words: list[str]
    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]


def encode(sentences: Iterable[str], split: Callable[[str], Sequence[str]]) -> EncodedWords:
    """Split sentences into words and number these in the order they come."""
    numbers: dict[str, int] = {}
    ids: list[int] = []
    lengths: list[int] = []
    for sentence in sentences:
        words = split(sentence)
        ids += [numbers.setdefault(word, len(numbers)) for word in words]
        lengths.append(len(words))
    return EncodedWords(list(numbers), np.array(ids, np.int32), np.array(lengths, np.int64))


@dataclass(frozen=True, slots=True)
class WordStream:
    """`words`, the most frequent first, with their `counts`; the text as `ids` of them, and where each sentence `ends`."""

    words: list[str]
    counts: NDArray[np.int64]
    ids: NDArray[np.int32]
    ends: NDArray[np.int64]
    facts: dict[str, Any]


def write_stream(folder: Path, parts: Iterable[EncodedWords], *, min_count: int, max_size: int) -> None:
    """Number the frequent words of a text, and write it as their numbers; the others leave no gap.

    Raises:
        DataError: fewer than two words are frequent enough.
    """
    with storage.atomic_directory(folder) as new:
        numbers, counts = _write_all(new, parts)
        words = frequent(counts, min_count=min_count, max_size=max_size)
        if len(words) < 2:
            raise DataError(
                f"has {len(words)} words that occur {min_count} times or more; word2vec needs two",
                remedy="Give more text, or lower min_count.",
            )
        place = np.full(len(numbers), -1, np.int32)
        place[[numbers[word] for word in words]] = np.arange(len(words), dtype=np.int32)
        kept = _write_kept(new, place)
        storage.remove_tree(new / "all.bin")
        storage.remove_tree(new / "lengths.bin")
        facts = {
            "words": counts.total(),
            "kept_words": kept,
            "distinct_words": len(counts),
            "vocabulary": len(words),
            "dropped": {"words too rare": counts.total() - kept},
        }
        content = {"facts": facts, "words": words, "counts": [counts[word] for word in words]}
        storage.write_json(new / "stream.json", content)


def open_stream(folder: Path) -> WordStream | None:
    """The stream in `folder`, or None where there is none."""
    import json

    if not folder.is_dir():
        return None
    content = json.loads((folder / "stream.json").read_text(encoding="utf-8"))
    ids = np.memmap(folder / "ids.bin", dtype=np.int32, mode="r")
    ends = np.memmap(folder / "ends.bin", dtype=np.int64, mode="r")
    return WordStream(content["words"], np.array(content["counts"], np.int64), ids, ends, content["facts"])


def _write_all(folder: Path, parts: Iterable[EncodedWords]) -> tuple[dict[str, int], Counter[str]]:
    """The whole text by numbers in the order words come; their numbers and counts."""
    numbers: dict[str, int] = {}
    totals = np.zeros(0, np.int64)
    with storage.atomic_file(folder / "all.bin") as ids, storage.atomic_file(folder / "lengths.bin") as lengths:
        for part in parts:
            mine = np.array([numbers.setdefault(word, len(numbers)) for word in part.words], np.int32)
            totals = np.concatenate([totals, np.zeros(len(numbers) - len(totals), np.int64)])
            totals[mine] += np.bincount(part.ids, minlength=len(mine))
            ids.write(mine[part.ids].tobytes() if len(mine) else b"")
            lengths.write(part.lengths.tobytes())
    return numbers, Counter(dict(zip(numbers, totals.tolist(), strict=True)))


def _write_kept(folder: Path, place: NDArray[np.int32]) -> int:
    """The text by its final numbers, in blocks of whole sentences, without rare words; how many words are left."""
    lengths = np.fromfile(folder / "lengths.bin", dtype=np.int64)
    every = np.cumsum(lengths)
    kept, done = 0, 0
    with (
        storage.atomic_file(folder / "ids.bin") as ids,
        storage.atomic_file(folder / "ends.bin") as ends,
        (folder / "all.bin").open("rb") as source,
    ):
        while done < len(every):
            before = int(every[done - 1]) if done else 0
            until = max(int(np.searchsorted(every, before + _BLOCK, side="right")), done + 1)
            words = place[np.frombuffer(source.read(4 * (int(every[until - 1]) - before)), dtype=np.int32)]
            within = np.concatenate([[0], np.cumsum(words >= 0)])[every[done:until] - before]
            last = np.concatenate([[0], within[:-1]])
            ends.write((kept + within[within > last]).astype(np.int64).tobytes())
            ids.write(words[words >= 0].tobytes())
            kept, done = kept + int(within[-1]), until
    return kept
