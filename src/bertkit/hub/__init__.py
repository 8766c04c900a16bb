"""The Hugging Face Hub: fetch a model's folder, push one as a single commit. The only code that talks to the Hub's API."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bertkit.errors import ConfigError
from bertkit.hub.patience import with_patience

log = logging.getLogger(__name__)

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?!.*(?:--|\.\.))(?!.*\.git$){_PART}/{_PART}")
_REVISION = re.compile(r"[^\s@]+")
# Weights in formats that nothing here reads: many repositories hold one network in five of them.
_NOT_READ = (
    *("pytorch_model*", "*.h5", "*.msgpack", "*.ot", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.gguf", "*.tflite"),
    *("*.onnx", "*.onnx_data", "onnx/*", "openvino/*", "coreml/*", "*.mlpackage/*"),
)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push left on the Hub: `revision` is the commit that holds it, also where nothing had to change.

    `removed` are files of an older model that it took away.
    """

    repo: str
    url: str
    revision: str
    removed: tuple[str, ...] = ()


def check_name(repo: str) -> None:
    """Refuse what the Hub takes for no repository's name.

    Raises:
        ConfigError: it is none.
    """
    if not _NAME.fullmatch(repo):
        remedy = (
            "Write USER/NAME or ORGANISATION/NAME: ASCII letters, digits, '-', '_' and '.', at most 96 in each, "
            "beginning and ending with a letter or digit, without '--' and '..'."
        )
        raise ConfigError(f"{repo!r} is no repository's name", remedy=remedy)


def is_name(text: str) -> bool:
    """Whether this reads as the name of a repository, `user/name` or `user/name@revision`, and is no folder here."""
    return _split(text) is not None and not Path(text).expanduser().exists()


def _split(text: str) -> tuple[str, str | None] | None:
    """A repository's name and its revision, None where none is named; None where it reads as no name."""
    name, at, revision = text.partition("@")
    if not _NAME.fullmatch(name) or (at and not _REVISION.fullmatch(revision)):
        return None
    return name, revision or None


def name_of(folder: str) -> str | None:
    """The repository whose fetched folder this is, None where it is none of the cache's."""
    found = re.search(r"/models--([^/]+?)--([^/]+)/snapshots/[0-9a-f]+$", folder)
    return f"{found[1]}/{found[2]}" if found and _NAME.fullmatch(f"{found[1]}/{found[2]}") else None


def folder_of(given: str | Path, *, revision: str | None = None) -> Path:
    """The folder that is meant: one of this machine, or that of a repository of the Hub, fetched.

    `user/name@revision` is the repository at that branch, tag or commit.

    Raises:
        ConfigError: a revision is asked for of a folder of this machine, or two of one repository.
        HostError: as of `fetch`.
    """
    text = str(given)
    if (named := _split(text)) is None or not is_name(text):
        if revision is not None:
            raise ConfigError(f"revision {revision!r} is of a repository of the Hub, and this is a folder", where=text)
        return Path(given).expanduser()
    name, own = named
    if own and revision and own != revision:
        raise ConfigError(f"two revisions, {own!r} and {revision!r}", where=name, remedy="Give one of them.")
    return fetch(name, revision=own or revision)


def fetch(repo: str, *, revision: str | None = None) -> Path:
    """The folder of a repository in the Hugging Face cache, fetched where it is not there.

    HF_HUB_OFFLINE, HF_ENDPOINT, HF_HOME and HF_TOKEN are honoured. A file is in the cache whole or not at all. Weights in
    other formats than safetensors stay where they are.

    Raises:
        HostError: the Hub cannot be reached or refuses, with what to do.
    """
    from huggingface_hub import snapshot_download

    def download() -> Path:
        return Path(snapshot_download(repo, revision=revision, ignore_patterns=list(_NOT_READ)))

    shown = f"{repo}@{revision}" if revision else repo
    return with_patience(download, "no such folder here, and from the Hub it cannot be fetched", shown)


def push(
    repo: str,
    files: Mapping[str, Path | bytes],
    *,
    message: str,
    private: bool | None = None,
    replaces: Sequence[str] = (),
    wait: Callable[[float], None] = time.sleep,
) -> Pushed:
    """Put `files` (name in the repository to content) on the Hub in one commit; the repository is made where it is not there.

    Whatever fails, the repository holds its old revision or the whole new one. What may pass (429, 5xx, a cut connection) is
    tried again: a commit that arrived although its answer was lost is found, not made twice.

    Args:
        private: of a repository that is made; one that is there must be private then.
        replaces: patterns of file names; what the repository has of them beside `files` goes with the same commit.

    Raises:
        ConfigError: `repo` is no name of a repository, or it is public and `private` is asked for.
        HostError: the Hub cannot be reached or refuses, with what to do.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    check_name(repo)
    api = HfApi()
    parents: list[
        str | None
    ] = []  # ours shall follow the commit that was there first: another's in between is an error

    def commit() -> Pushed:
        api.create_repo(repo, private=private, exist_ok=True)
        there = api.model_info(repo)
        if private and there.private is False:
            remedy = "Make it private in its settings, give another name, or push without --private."
            raise ConfigError("the repository is there and public, and it was to be private", where=repo, remedy=remedy)
        parents.append(there.sha)
        stale = _stale((one.rfilename for one in there.siblings or ()), files, replaces)
        operations: list[Any] = [CommitOperationAdd(name, _content(content)) for name, content in files.items()]
        operations += [CommitOperationDelete(name) for name in stale]
        made: Any = api.create_commit(repo, operations, commit_message=message, parent_commit=parents[0])
        return Pushed(repo, f"{_without_password(api.endpoint)}/{repo}", str(made.oid), tuple(stale))

    pushed = with_patience(commit, "it cannot be pushed", repo, wait=wait)
    if pushed.removed:
        log.info("%s: files of an older model were removed: %s", repo, ", ".join(pushed.removed))
    return pushed


def _without_password(address: str) -> str:
    return re.sub(r"(?<=://)[^/@]+@", "", address)


def _content(content: Path | bytes) -> str | bytes:
    return str(content) if isinstance(content, Path) else content


def _stale(there: Iterable[str], files: Mapping[str, Any], replaces: Sequence[str]) -> list[str]:
    """Files at the top of a repository that are of what is replaced and not among the new ones."""
    others = (name for name in there if name not in files and "/" not in name)
    return sorted(name for name in others if any(fnmatchcase(name, pattern) for pattern in replaces))
