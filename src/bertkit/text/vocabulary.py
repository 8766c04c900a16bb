"""What a WordPiece tokenizer folder says of its vocabulary: size, special tokens, the rest."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from bertkit.errors import StageError
from bertkit.foreign import BERT_TOKENS

# BERT's special tokens; the order gives the ids 0 to 4 of a new vocabulary.
SPECIAL_TOKENS = BERT_TOKENS


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Ids of a tokenizer. `ordinary`: every id that is neither a special token nor an `[unusedN]` slot, ascending."""

    size: int
    pad: int
    unk: int
    cls: int
    sep: int
    mask: int
    ordinary: tuple[int, ...]


def read_entries(folder: Path) -> dict[str, int]:
    """Every entry and its id.

    Raises:
        StageError: there is neither `tokenizer.json` nor `vocab.txt` in `folder`.
    """
    path = folder / "tokenizer.json"
    if not path.is_file() and (folder / "vocab.txt").is_file():
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        return {token: number for number, token in enumerate(lines)}
    if not path.is_file():
        raise StageError(
            "no such file: not a tokenizer folder",
            where=str(path),
            remedy="Save it with AutoTokenizer.from_pretrained(...).save_pretrained(...).",
        )
    entries: dict[str, int] = Tokenizer.from_file(str(path)).get_vocab()
    return entries


def file_states(folder: Path) -> tuple[Any, ...]:
    """What tells whether a tokenizer's files have been written anew: modification time and size of each."""
    names = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")
    files = [(folder / name).stat() if (folder / name).is_file() else None for name in names]
    return tuple(file and (file.st_mtime_ns, file.st_size, file.st_ino) for file in files)


def read_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of the tokenizer in `folder`; read once while its files stay the same.

    Raises:
        StageError: there is no vocabulary, or one of BERT's special tokens is missing from it.
    """
    return _read_vocabulary(folder, file_states(folder))


@lru_cache(maxsize=4)
def _read_vocabulary(folder: Path, states: tuple[Any, ...]) -> Vocabulary:
    entries = read_entries(folder)
    missing = [token for token in SPECIAL_TOKENS if token not in entries]
    if missing:
        raise StageError(f"has no {', '.join(missing)}: not a BERT vocabulary", where=str(folder / "tokenizer.json"))
    reserved = {i for token, i in entries.items() if token in SPECIAL_TOKENS or token.startswith("[unused")}
    pad, unk, cls, sep, mask = (entries[token] for token in SPECIAL_TOKENS)
    ordinary = tuple(sorted(set(entries.values()) - reserved))
    return Vocabulary(max(entries.values()) + 1, pad, unk, cls, sep, mask, ordinary)
