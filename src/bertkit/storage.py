"""The only code that creates, renames or deletes artifact files.

A file is written beside its final name, synced and renamed, so that it is there whole or not at all. What the
operating system refuses becomes a `HostError` that names the path and a remedy.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from bertkit.errors import BusyError, HostError

_REMEDIES = {
    errno.ENOSPC: "The disk is full. Free some space and run the same command again: finished work is kept.",
    errno.EDQUOT: "The disk quota is used up. Free some space and run the same command again: finished work is kept.",
    errno.EACCES: "Choose a directory you may write to (--root or --out), or change its permissions.",
    errno.EPERM: "Choose a directory you may write to (--root or --out), or change its permissions.",
    errno.EROFS: "The file system is read-only. Choose another directory with --root or --out.",
    errno.ENOTDIR: "A file stands where a directory must be. Move it, or choose another directory with --root or --out.",
    errno.EEXIST: "A file stands where a directory must be. Move it, or choose another directory with --root or --out.",
}


@contextmanager
def reporting_os_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError about `path` into a HostError that says what was being done."""
    try:
        yield
    except OSError as e:
        remedy = _REMEDIES.get(e.errno or 0)
        where = str(e.filename or path)
        raise HostError(f"cannot {doing}: {e.strerror or e}", where=where, remedy=remedy) from e


def make_directory(path: Path) -> Path:
    """Create `path` and its parents if they are not there."""
    with reporting_os_errors(path, "create the directory"):
        path.mkdir(parents=True, exist_ok=True)
    return path


def temporary_directory() -> Path:
    """A new directory where the system keeps what may be deleted."""
    place = Path(tempfile.gettempdir())
    with reporting_os_errors(place, "create a directory in"):
        return Path(tempfile.mkdtemp(prefix="bertkit-", dir=place))


def remove_tree(path: Path) -> None:
    """Delete a file or a whole directory; nothing happens when there is none."""
    with reporting_os_errors(path, "delete"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` when the block ends well, and leaves nothing when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with reporting_os_errors(path, "write"):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_directory(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def left_by_killed_writes(directory: Path) -> list[Path]:
    """What `atomic_file` leaves in a directory when its process is killed."""
    return [path for path in directory.glob(".*.tmp") if path.name.split(".")[-2].isdigit() and path.is_file()]


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_file(path) as file:
        file.write(content)


def share_like(path: Path, other: Path) -> None:
    """Let all who may read `other` read `path` too: safetensors writes for its owner alone."""
    with reporting_os_errors(path, "set the mode of"):
        shutil.copymode(other, path)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file atomically, with `\\n` line ends on every system."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    """Write one JSON object a line, atomically; returns how many."""
    count = 0
    with atomic_file(path) as file:
        for row in rows:
            file.write(_json_line(row))
            count += 1
    return count


def _json_line(row: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:
        # UTF-8 cannot hold half a character; JSON can, by its number, and readers say in which row it stands.
        return (json.dumps(row, allow_nan=False) + "\n").encode()


@contextmanager
def appending(path: Path) -> Iterator[IO[str]]:
    """A text file opened to add lines to, flushed line by line."""
    with (
        reporting_os_errors(path, "append to"),
        path.open("a", encoding="utf-8", newline="\n", buffering=1) as file,
    ):
        yield file


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make what was appended to a file survive a power cut."""
    with reporting_os_errors(path, "sync"), path.open("rb") as file:
        os.fsync(file.fileno())


def sync_tree(path: Path) -> None:
    """fsync every file and directory below `path`: for files that another library wrote."""
    with reporting_os_errors(path, "sync"):
        for folder, _, names in os.walk(path):
            for name in names:
                if os.path.islink(os.path.join(folder, name)):
                    continue  # what it points to is synced where it lies, if it is there at all
                descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            sync_directory(Path(folder))


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A temporary directory beside `path` that takes its name when the block ends well.

    A directory already at `path` is replaced. A crash leaves either the old one, the new one, or a `.tmp` name that
    no reader looks at; an error leaves nothing, for a full disk is one.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    remove_tree(temporary)
    make_directory(temporary)
    with reporting_os_errors(path, "write"):
        try:
            yield temporary
            sync_tree(temporary)
        except Exception:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        remove_tree(path)
        os.rename(temporary, path)
        sync_directory(path.parent)


def link_latest(link: Path, target: Path) -> None:
    """Point a relative symbolic link at `target`, replacing the one that was there."""
    make_directory(link.parent)
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    with reporting_os_errors(link, "link"):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(os.path.relpath(target, link.parent))
        os.replace(temporary, link)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with reporting_os_errors(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(directory: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold `directory` for this process alone.

    The kernel drops the lock when the process ends, however it ends, so a lock left by a dead process is no
    obstacle.

    Raises:
        BusyError: another process holds it and `wait` is false; the message names its pid, host and start.
    """
    make_directory(directory)
    path = directory / ".lock"
    with reporting_os_errors(path, "lock"):
        file = path.open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.seek(0)
            raise BusyError(
                f"another run holds this directory: {file.read().strip() or 'it is just starting'}",
                where=str(directory),
                remedy="Wait for it, or run again with --wait.",
            ) from None
        with reporting_os_errors(path, "write"):
            file.truncate(0)
            started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            file.write(f"pid {os.getpid()} on {socket.gethostname()}, started {started}")
            file.flush()
        yield


class Digests:
    """SHA-256 of input files, remembered in `memory` by path, size and modification time.

    Hashing gigabytes again to find that nothing changed would make every plan slow.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, list[Any]] = {}
        self._grown = False
        if memory is not None and memory.is_file():
            # A damaged memory only costs the time to hash again.
            with suppress(ValueError, OSError):
                self._known = json.loads(memory.read_text(encoding="utf-8"))

    def sha256(self, path: Path) -> str:
        with reporting_os_errors(path, "read"):
            status = path.stat()
        key, stamp = str(path.resolve()), [status.st_size, status.st_mtime_ns]
        known = self._known.get(key)
        if known is None or known[:2] != stamp:
            known = self._known[key] = [*stamp, sha256(path)]
            self._grown = True
        return str(known[2])

    def save(self) -> None:
        """Write what was learnt, if anything was and there is a place for it."""
        if self._memory is not None and self._grown:
            make_directory(self._memory.parent)
            write_json(self._memory, self._known)
            self._grown = False


def rename(old: Path, new: Path) -> None:
    """Give a file or directory another name, in place of whatever has it."""
    remove_tree(new)
    with reporting_os_errors(old, "rename"):
        os.rename(old, new)


def copy_files(source: Path, out: Path, names: tuple[str, ...]) -> None:
    """Copy those of `names` that `source` has."""
    for name in names:
        if (source / name).is_file():
            with reporting_os_errors(source / name, "copy"):
                shutil.copyfile(source / name, out / name)
