"""Changed copies of training texts, others in each epoch: words swapped, left out or replaced (EDA, Wei & Zou 2019).

The text is changed, not its token ids, and encoded again: what the model reads is then what it would read of a text
written so, and any tokenizer serves. What is drawn for a text depends on seed, epoch and the text's number alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any, Literal
from unicodedata import category

import numpy as np

from bertkit.data import keyed
from bertkit.data.batching import START, Arrays, GlobalBatch, Position
from bertkit.data.encoded import EncodedRows, Ints
from bertkit.errors import ConfigError, DataError
from bertkit.text.words import is_chinese, load_segmenter

Row = Mapping[str, Any]
Parts = list[tuple[str, bool]]
Synonyms = dict[str, list[str]]
Draws = Iterator[float]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may happen to a text.

    With `probability` it is changed by one of the operations that are on, each as likely as the others: `swap`, so many
    pairs of words change places; `delete`, each word is left out with this probability, but never all; `synonyms`, as
    many words are replaced as the share `replace` says. Shares of words come to at least one word. Spaces and
    punctuation stay; a space beside a word that is left out goes with it.
    """

    seed: int
    probability: float = 0.5
    swap: float = 0.0
    delete: float = 0.0
    synonyms: Synonyms = field(default_factory=dict)
    replace: float = 0.1
    chinese_units: Literal["character", "word"] = "character"

    def __call__(self, rows: Sequence[Row], columns: Sequence[str], epoch: int) -> list[dict[str, Any]]:
        """The rows as this epoch reads them: `columns` hold their texts, everything else stays."""
        family = keyed.key(self.seed, "augmented", epoch)
        chosen = keyed.uniform(family, np.arange(len(rows), dtype=np.int64)) < self.probability
        found = [dict(row) for row in rows]
        for i in np.flatnonzero(chosen).tolist():
            for column in columns:
                found[i][column] = self.changed(rows[i][column], f"{epoch} {column} {i}")
        return found

    def changed(self, text: str, purpose: str) -> str:
        """The text after one operation; `purpose` names the draws. One without words comes back as it is."""
        parts = split_words(text, self.chinese_units)
        words = [i for i, (_, is_word) in enumerate(parts) if is_word]
        if not words:
            return text
        draws = _draws(keyed.key(self.seed, f"augmentation {purpose}"))
        operations = [
            function
            for on, function in ((self.swap, self._swap), (self.delete, self._delete), (self.synonyms, self._replace))
            if on
        ]
        changed: str = _pick(operations, draws)(parts, words, draws)
        return changed

    def _swap(self, parts: Parts, words: list[int], draws: Draws) -> str:
        pieces, n = [piece for piece, _ in parts], len(words)
        for _ in range(_count(self.swap, words) if n > 1 else 0):
            first = int(next(draws) * n)
            second = (first + 1 + int(next(draws) * (n - 1))) % n  # any but the first
            a, b = words[first], words[second]
            pieces[a], pieces[b] = pieces[b], pieces[a]
        return "".join(pieces)

    def _delete(self, parts: Parts, words: list[int], draws: Draws) -> str:
        gone = {i for i in words if next(draws) < self.delete}
        if len(gone) == len(words):
            gone.remove(_pick(words, draws))
        pieces = [piece for piece, _ in parts]
        for i in gone:
            pieces[i] = ""
            after = i + 1
            if after < len(parts) and parts[after][0].isspace():
                pieces[after] = ""
        return "".join(pieces).strip()

    def _replace(self, parts: Parts, words: list[int], draws: Draws) -> str:
        pieces = [piece for piece, _ in parts]
        known = [i for i in words if self.synonyms.get(pieces[i].casefold())]
        for _ in range(min(len(known), _count(self.replace, words))):
            i = known.pop(int(next(draws) * len(known)))
            pieces[i] = _pick(self.synonyms[pieces[i].casefold()], draws)
        return "".join(pieces)


def split_words(text: str, chinese_units: Literal["character", "word"] = "character") -> Parts:
    """A text in parts that together are the text, and of each whether it is a word.

    Words are runs of letters, marks and digits, with apostrophes and hyphens inside them. Of Chinese, a word is a
    character, or what the segmenter finds.

    Raises:
        HostError: words of Chinese are wanted and `rjieba` is not installed.
    """
    parts: Parts = []
    for kind, characters in groupby(text, _kind):
        run = "".join(characters)
        if kind == "chinese":
            parts += [(unit, True) for unit in (run if chinese_units == "character" else load_segmenter()(run))]
        else:
            parts.append((run, kind == "word"))
    return _joined(parts)


@cache
def _kind(character: str) -> str:
    if is_chinese(character):
        return "chinese"
    if character.isspace():
        return "space"
    return "word" if category(character)[0] in "LMN" else "other"


def _joined(parts: Parts) -> Parts:
    """Parts with `don't` and `well-known` in one."""
    found: Parts = []
    for i, (piece, is_word) in enumerate(parts):
        joins = piece in ("'", "’", "-") and found and found[-1][1] and parts[i + 1 : i + 2] and parts[i + 1][1]
        continues = is_word and i > 0 and parts[i - 1][0] in ("'", "’", "-") and found[-1][1]
        if joins or continues:
            found[-1] = (found[-1][0] + piece, True)
        else:
            found.append((piece, is_word))
    return found


def read_synonyms(path: Path) -> Synonyms:
    """Words and their synonyms, a line each, tabs between them; letters' case is no difference.

    Raises:
        DataError: a line has no synonym, or the file is no UTF-8 text.
    """
    found: Synonyms = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError("no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"cannot be read as UTF-8 text: {e}", where=str(path)) from None
    for number, line in enumerate(lines, start=1):
        word, *synonyms = (cell.strip() for cell in line.split("\t"))
        if not word and not any(synonyms):
            continue
        if not word or not all(synonyms) or not synonyms:
            raise DataError(
                f"is {line[:80]!r}, not a word and its synonyms",
                where=f"{path}:{number}",
                remedy="Write word<TAB>synonym<TAB>synonym, one word a line.",
            )
        found.setdefault(word.casefold(), []).extend(synonyms)
    if not found:
        raise DataError("has no synonyms", where=str(path))
    return found


@dataclass(frozen=True)
class AugmentedRows(EncodedRows):
    """Rows of a training split that are encoded anew for each epoch, after an augmentation.

    `encode` turns rows into the model's input and is picklable, for workers; `columns` are the texts. Outside `batches`
    these are the rows as they were written.
    """

    rows: Sequence[Row]
    columns: tuple[str, ...]
    encode: Callable[[list[dict[str, Any]]], EncodedRows]
    augmentation: Augmentation
    written: EncodedRows

    def __post_init__(self) -> None:
        if len(self.written) != len(self.rows):
            raise ConfigError(
                "augmentation needs one input for each text, and long texts are read in several windows here",
                remedy="Leave augmentation out, or cut texts instead of reading them in windows.",
            )

    @property
    def lengths(self) -> Ints:
        return self.written.lengths

    def collate(self, chosen: Ints) -> Arrays:
        return self.written.collate(chosen)

    def denominators(self, arrays: Arrays) -> dict[str, int]:
        return self.written.denominators(arrays)

    def of_epoch(self, epoch: int) -> EncodedRows:
        """The rows that an epoch reads."""
        return self.encode(self.augmentation(self.rows, self.columns, epoch))

    def batches(
        self,
        batch_size: int,
        rows: int,
        *,
        seed: int,
        rank: int,
        world_size: int,
        start: Position = START,
        turn: int = 0,
        turns: int = 1,
    ) -> Iterator[GlobalBatch]:
        """As of any rows, an epoch's from what its texts are then."""
        per_epoch = ceil(len(self) / batch_size)
        at = start if start.number < per_epoch else Position(start.epoch + 1, 0, start.step)
        while True:
            following = Position(at.epoch + 1, 0, at.step + per_epoch - at.number)
            # Steps taken before this epoch decide whose turn its first batch is.
            shift = (turn - (at.step - start.step)) % turns
            own = -(-(following.step - at.step - shift) // turns)
            if own > 0:
                epoch = self.of_epoch(at.epoch).batches(
                    batch_size, rows, seed=seed, rank=rank, world_size=world_size, start=at, turn=shift, turns=turns
                )
                for _ in range(own):
                    yield next(epoch)
            at = following


def _draws(family: int) -> Draws:
    """Uniform numbers without end."""
    start = 0
    while True:
        yield from keyed.uniform(family, np.arange(start, start + 64, dtype=np.int64)).tolist()
        start += 64


def _pick(choices: Sequence[Any], draws: Draws) -> Any:
    return choices[int(next(draws) * len(choices))]


def _count(share: float, words: list[int]) -> int:
    """EDA's number of changes: a share of the words, but at least one."""
    return max(1, int(share * len(words)))
