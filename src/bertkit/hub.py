"""The Hugging Face Hub: fetch a model's folder, push one as a single commit. The only code that talks to the Hub's API."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bertkit.errors import BertkitError, ConfigError, HostError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MAY_PASS = {429, 500, 502, 503, 504}
_ATTEMPTS = 4
_LONGEST_WAIT = 30.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push left on the Hub: `revision` is the commit that holds it, also where nothing had to change."""

    repo: str
    url: str
    revision: str


def is_name(text: str) -> bool:
    """Whether this reads as the name of a repository, `user/name`, and is no folder here."""
    return _NAME.fullmatch(text) is not None and not Path(text).exists()


def folder_of(given: str | Path, *, revision: str | None = None) -> Path:
    """The folder that is meant: one of this machine, or that of a repository of the Hub, fetched.

    Raises:
        HostError: as of `fetch`.
    """
    return fetch(str(given), revision=revision) if is_name(str(given)) else Path(given).expanduser()


def fetch(repo: str, *, revision: str | None = None) -> Path:
    """The folder of a repository in the Hugging Face cache, fetched where it is not there.

    HF_HUB_OFFLINE, HF_ENDPOINT, HF_HOME and HF_TOKEN are honoured. A file is in the cache whole or not at all.

    Raises:
        HostError: the Hub cannot be reached or refuses, with what to do.
    """
    from huggingface_hub import snapshot_download

    def download() -> Path:
        return Path(snapshot_download(repo, revision=revision))

    return _with_patience(download, "no such folder here, and from the Hub it cannot be fetched", repo)


def push(
    repo: str,
    files: Mapping[str, Path | bytes],
    *,
    message: str,
    private: bool | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Pushed:
    """Put `files` (name in the repository to content) on the Hub in one commit; the repository is made where it is not there.

    Whatever fails, the repository holds its old revision or the whole new one. What may pass (429, 5xx, a cut connection) is
    tried again: a commit that arrived although its answer was lost is found, not made twice.

    Raises:
        ConfigError: `repo` is no name of a repository.
        HostError: the Hub cannot be reached or refuses, with what to do.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    if not _NAME.fullmatch(repo):
        raise ConfigError(f"{repo!r} is no repository's name", remedy="Write USER/NAME or ORGANISATION/NAME.")
    api = HfApi()

    def commit() -> Pushed:
        api.create_repo(repo, private=private, exist_ok=True)
        operations = [CommitOperationAdd(name, _content(content)) for name, content in files.items()]
        try:
            made: Any = api.create_commit(repo, operations, commit_message=message, parent_commit=_head(api, repo))
        except RuntimeError as e:  # how the client tells that the upload of a large file failed
            raise (e.__cause__ if isinstance(e.__cause__, _network_errors()) else e) from None
        return Pushed(repo, f"{api.endpoint}/{repo}", str(made.oid))

    return _with_patience(commit, "it cannot be pushed", repo, wait=wait)


def _content(content: Path | bytes) -> str | bytes:
    return str(content) if isinstance(content, Path) else content


def _head(api: "HfApi", repo: str) -> str | None:
    """The commit that ours shall follow: another's in between is an error, not overwritten."""
    return api.model_info(repo).sha


def _with_patience(
    act: Callable[[], Result], what: str, repo: str, *, wait: Callable[[float], None] = time.sleep
) -> Result:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return act()
        except _network_errors() as e:
            status = _status(e)
            passing = not isinstance(e, OfflineModeIsEnabled) and (
                status in _MAY_PASS or (status is None and not isinstance(e, HfHubHTTPError) and _was_cut(e))
            )
            if not passing or attempt == _ATTEMPTS:
                raise _explained(e, status, what, repo) from None
            seconds = _pause(e, attempt)
            log.warning("%s (%s): trying again in %.0f s", what, status or "the connection was cut", seconds)
            wait(seconds)
    raise AssertionError("unreachable")


def _network_errors() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import HfHubHTTPError

    # The client's HTTP library raises errors of its own where there is no network; theirs are built on its base class.
    return (HfHubHTTPError, HfHubHTTPError.__mro__[1], OSError)


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _was_cut(error: Exception) -> bool:
    """A connection that broke, not one that was never there: nothing listens, or the name is unknown."""
    return type(error).__name__ in ("RemoteProtocolError", "ReadError", "WriteError", "ReadTimeout", "WriteTimeout")


def _pause(error: Exception, attempt: int) -> float:
    """Seconds: what the Hub asks for, else 1, 2, 4."""
    told = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "")
    return min(float(told), _LONGEST_WAIT) if told.isdigit() else float(2 ** (attempt - 1))


_REMEDIES = {
    400: "The Hub does not take the name or a file of it.",
    401: "Log in with `hf auth login`, or set HF_TOKEN to a token that may write here; also check the name.",
    403: "Your token may not do this: use one with the right to write to this repository.",
    404: "Check the name and the revision; a private repository needs `hf auth login` or HF_TOKEN.",
    409: "Somebody else is writing to it: try again.",
    412: "Somebody else has pushed in between: look at the repository, then push again.",
    413: "A file is larger than the Hub takes.",
    429: "The Hub asks to wait: try again in some minutes.",
}


def _explained(error: Exception, status: int | None, what: str, repo: str) -> BertkitError:
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, OfflineModeIsEnabled

    offline = "Unset HF_HUB_OFFLINE to reach the Hub, or use a copy that is in the cache."
    if isinstance(error, OfflineModeIsEnabled):
        return HostError(f"{what}: HF_HUB_OFFLINE is set", where=repo, remedy=offline)
    if isinstance(error, GatedRepoError):
        return HostError(f"{what}: access has to be granted", where=repo, remedy="Ask for it on the repository's page.")
    if status is not None:
        remedy = _REMEDIES.get(status, "The Hub has a problem: try again later." if status >= 500 else None)
        return HostError(f"{what}: the Hub answers {status}", where=repo, remedy=remedy)
    if isinstance(error, LocalEntryNotFoundError):
        remedy = "Check the network and HF_ENDPOINT; or give a folder."
        return HostError(f"{what}: it is not in the cache, and the Hub cannot be reached", where=repo, remedy=remedy)
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return HostError(f"{what}: {reason}", where=repo, remedy="Check the network and HF_ENDPOINT.")
