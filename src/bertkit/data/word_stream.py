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

_LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class EncodedWords:
    """Some sentences: their distinct `words`, the text as numbers of these, and the length of each sentence.

    `marks` counts what was left out as no word.
    """

    words: list[str]
    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]
    marks: int = 0


def encode(
    sentences: Iterable[str],
    split: Callable[[str], Sequence[str]],
    *,
    is_word: Callable[[str], bool] | None = None,
) -> EncodedWords:
    """Split sentences into words and number these in the order they come; what `is_word` refuses leaves no gap.

    A sentence of more than 10,000 words becomes several, for a thread holds one whole; gensim drops what is over.
    """
    numbers: dict[str, int] = {}
    ids: list[int] = []
    lengths: list[int] = []
    marks = 0
    for sentence in sentences:
        words = split(sentence)
        if is_word is not None:
            kept = [word for word in words if is_word(word)]
            marks, words = marks + len(words) - len(kept), kept
        ids += [numbers.setdefault(word, len(numbers)) for word in words]
        lengths += [min(_LONGEST, len(words) - start) for start in range(0, len(words), _LONGEST)]
    return EncodedWords(list(numbers), np.array(ids, np.int32), np.array(lengths, np.int64), marks)


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
        DataError: fewer than two words are frequent enough, or no sentence has two of them.
    """
    with storage.atomic_directory(folder) as new:
        numbers, counts, sizes, marks = _write_all(new, parts)
        words = frequent(counts, min_count=min_count, max_size=max_size)
        if len(words) < 2:
            raise DataError(
                f"the text has {len(words)} words that occur {min_count} times or more; word2vec needs two",
                remedy="Give more text, or lower min_count.",
            )
        place = np.full(len(numbers), -1, np.int32)
        place[[numbers[word] for word in words]] = np.arange(len(words), dtype=np.int32)
        kept, longest = _write_kept(new, place, sizes)
        if longest < 2:
            raise DataError(
                f"the text has no sentence with two words that occur {min_count} times: no word has a neighbour",
                remedy="Give text in sentences, or lower min_count.",
            )
        storage.remove_tree(new / "all.bin")
        storage.remove_tree(new / "lengths.bin")
        rare = sum(count for count in counts.values() if count < min_count)
        over = counts.total() - kept - rare
        dropped = {"words too rare": rare, "words over max_vocab_size": over, "punctuation marks": marks}
        facts = {
            "words": counts.total(),
            "kept_words": kept,
            "distinct_words": len(counts),
            "vocabulary": len(words),
            "dropped": {why: count for why, count in dropped.items() if count or why == "words too rare"},
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


def _write_all(
    folder: Path, parts: Iterable[EncodedWords]
) -> tuple[dict[str, int], Counter[str], list[tuple[int, int]], int]:
    """The whole text by numbers in the order words come; their numbers and counts, each part's sentences and words, and
    how many marks were left out."""
    numbers: dict[str, int] = {}
    totals, sizes, marks = np.zeros(0, np.int64), [], 0
    with storage.atomic_file(folder / "all.bin") as ids, storage.atomic_file(folder / "lengths.bin") as lengths:
        for part in parts:
            mine = np.array([numbers.setdefault(word, len(numbers)) for word in part.words], np.int32)
            totals = np.concatenate([totals, np.zeros(len(numbers) - len(totals), np.int64)])
            totals[mine] += np.bincount(part.ids, minlength=len(mine))
            ids.write(mine[part.ids].tobytes() if len(mine) else b"")
            lengths.write(part.lengths.tobytes())
            sizes.append((len(part.lengths), len(part.ids)))
            marks += part.marks
    return numbers, Counter(dict(zip(numbers, totals.tolist(), strict=True))), sizes, marks


def _write_kept(folder: Path, place: NDArray[np.int32], sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """The text by its final numbers, part by part, without rare words; how many are left, also in the longest sentence."""
    kept, longest = 0, 0
    with (
        storage.atomic_file(folder / "ids.bin") as ids,
        storage.atomic_file(folder / "ends.bin") as ends,
        (folder / "all.bin").open("rb") as text,
        (folder / "lengths.bin").open("rb") as lengths,
    ):
        for sentences, count in sizes:
            words = place[np.fromfile(text, np.int32, count)]
            within = np.concatenate([[0], np.cumsum(words >= 0)])
            sizes_left = np.diff(within[np.concatenate([[0], np.cumsum(np.fromfile(lengths, np.int64, sentences))])])
            sizes_left = sizes_left[sizes_left > 0]
            ends.write((kept + np.cumsum(sizes_left)).astype(np.int64).tobytes())
            ids.write(words[words >= 0].tobytes())
            kept, longest = kept + int(within[-1]), max(longest, int(sizes_left.max(initial=0)))
    return kept, longest
