"""Which files a corpus is made of, and their lines, whatever they are compressed with."""

import bz2
import glob
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from bertkit import storage
from bertkit.data.sources.raw import BYTE_ORDER_MARK, OnBadUtf8, Tally, decode
from bertkit.errors import DataError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def find_files(files: str | Sequence[str], *, folder: Path | None = None) -> list[Path]:
    """The files that names, directories and glob patterns stand for, each once, ordered by name.

    A directory stands for every file below it. Names that begin with a dot are left out, unless given themselves.
    The order depends on the names only, not on the order or the place in which they were given.

    Args:
        folder: where names are looked for that match nothing from the working directory.

    Raises:
        DataError: one of `files` matches nothing.
    """
    found: dict[Path, None] = {}
    for pattern in [files] if isinstance(files, str) else files:
        matched = _match(pattern)
        if not matched and pattern and folder is not None:
            matched = _match(str(folder.expanduser() / pattern))
        if not matched:
            raise DataError(
                "no such file, and no file matches it as a pattern" if pattern else "the name of a file is empty",
                where=pattern or None,
                remedy=f"Names are relative to {Path.cwd()}. Give files, directories or patterns such as 'text/*.txt'.",
            )
        found.update(dict.fromkeys(matched))
    return sorted(found, key=lambda path: (path.name, str(path)))


def _match(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if not pattern:
        return []
    if path.is_dir():
        return _files_below(path)
    # A name may hold the characters that patterns are made of.
    if path.exists():
        return [path]
    matched = [Path(name) for name in glob.glob(str(path), recursive=True)]
    return [file for one in matched for file in (_files_below(one) if one.is_dir() else [one])]


def _files_below(directory: Path) -> list[Path]:
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    ]


def names(files: Sequence[Path]) -> list[str]:
    """A name for each file that does not tell where it lies; the second `a.txt` is `a.txt (2)`."""
    seen: dict[str, int] = {}
    result = []
    for file in files:
        count = seen[file.name] = seen.get(file.name, 0) + 1
        result.append(file.name if count == 1 else f"{file.name} ({count})")
    return result


def read_lines(path: Path, *, on_bad_utf8: OnBadUtf8, tally: Tally) -> Iterator[tuple[int, str]]:
    """The number and text of each line, without its `\\n` or `\\r\\n`; `.gz` and `.bz2` are unpacked on the way.

    A byte order mark at the start is removed and counted. No more than one line is in memory.

    Raises:
        DataError: bytes that are not UTF-8 (with `file:line`), or a compressed file that is damaged.
        HostError: the file cannot be read.
    """
    offset = 0
    for number, line in enumerate(_raw_lines(path), start=1):
        size = len(line)
        if number == 1 and line.startswith(_BYTE_ORDER_MARK):
            line = line.removeprefix(_BYTE_ORDER_MARK)
            offset = len(_BYTE_ORDER_MARK)
            size -= offset
            tally.changed[BYTE_ORDER_MARK] += 1
        where = f"{path}:{number}"
        text = decode(line, where=where, offset=offset, on_bad_utf8=on_bad_utf8, tally=tally)
        yield number, text.removesuffix("\n").removesuffix("\r")
        offset += size


def _raw_lines(path: Path) -> Iterator[bytes]:
    damaged = DataError("is damaged or ends too early", where=str(path), remedy="Fetch or compress the file again.")
    with storage.reporting_os_errors(path, "read"):
        try:
            with _open(path) as file:
                yield from file
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise damaged from None
        except OSError as e:
            # bz2 reports bad data as an OSError that no system call made.
            if e.errno is None:
                raise damaged from None
            raise


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    match path.suffix.lower():
        case ".gz":
            return gzip.open(path, "rb")
        case ".bz2":
            return bz2.open(path, "rb")
    return path.open("rb")
