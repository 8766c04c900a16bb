"""Patience with the Hub: what may pass is tried again, what will not is said in words, and nothing waits for ever."""

import errno
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from bertkit.errors import BertkitError, ConfigError, HostError

log = logging.getLogger(__name__)

_MAY_PASS = {429, 500, 502, 503, 504}
_ATTEMPTS = 4
_LONGEST_WAIT = 300.0  # the Hub counts requests by five minutes
_ANSWER_WITHIN = 60.0  # seconds without a byte

_CUT = {"RemoteProtocolError", "ReadError", "WriteError"}
_TIMEOUTS = {"ReadTimeout", "WriteTimeout"}
# What no message may repeat: tokens, headers that hold one, names and passwords within an address.
_SECRET = re.compile(r"(?<=Bearer )[^'\"]+|hf_[A-Za-z0-9]{8,}|(?<=://)[^/\s@]+(?=@)")

Result = TypeVar("Result")


def with_patience(
    act: Callable[[], Result], what: str, repo: str, *, wait: Callable[[float], None] = time.sleep
) -> Result:
    """What `act` gives, tried again where the Hub asks to wait, has a problem or cuts the connection.

    Raises:
        ConfigError: the Hub does not take the card's metadata.
        HostError: any other failure; `what` and `repo` say of what, and no token stands in it.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _answers_in_time():
                return act()
        except _errors() as e:
            error = _root(e)
            if isinstance(error, ValueError) and not _is_the_hubs(error):
                raise
            told = _wait_asked_for(error)
            seconds = float(2 ** (attempt - 1)) if told is None else told
            if not _may_pass(error, attempt) or attempt == _ATTEMPTS or seconds > _LONGEST_WAIT:
                raise _explained(error, told, what, repo) from None
            log.warning("%s (%s): trying again in %.0f s", what, status_of(error) or _first_line(error), seconds)
            wait(seconds)
    raise AssertionError("unreachable")


@contextmanager
def _answers_in_time() -> Iterator[None]:
    """The client waits for an answer for ever unless it is told otherwise; a request that says how long is left alone."""
    from huggingface_hub import get_session

    client = get_session()
    before = client.event_hooks
    client.event_hooks = {**before, "request": [*before["request"], _bound]}
    try:
        yield
    finally:
        client.event_hooks = before


def _bound(request: Any) -> None:
    given = request.extensions.get("timeout", {})
    within = {phase: _ANSWER_WITHIN for phase in ("connect", "read", "write", "pool") if given.get(phase) is None}
    request.extensions["timeout"] = {**given, **within}


def _errors() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import HfHubHTTPError

    # The client's HTTP library raises errors of its own where there is no network; theirs are built on its base class.
    return (HfHubHTTPError.__mro__[1], OSError, RuntimeError, ValueError)


def _root(error: Exception) -> Exception:
    """What lies behind the client's 'it is not in the cache' and 'an upload failed'."""
    cause = error.__cause__
    wraps = type(error) is RuntimeError or (isinstance(error, FileNotFoundError) and error.errno is None)
    return _root(cause) if wraps and isinstance(cause, Exception) and isinstance(cause, _errors()) else error


def status_of(error: BaseException) -> int | None:
    """What the Hub answered, where it did."""
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _may_pass(error: Exception, attempt: int) -> bool:
    """A connection that broke may, not one that was never there: nothing listens, or the name is unknown."""
    if (status := status_of(error)) is not None:
        return status in _MAY_PASS
    name = type(error).__name__
    return name in _CUT or (name in _TIMEOUTS and attempt == 1) or name == "JSONDecodeError"


def _is_the_hubs(error: ValueError) -> bool:
    """Whether it says that the card, the token or an answer is no good; any other is a bug of ours."""
    return (
        "metadata" in str(error) or isinstance(error, UnicodeEncodeError) or type(error).__name__ == "JSONDecodeError"
    )


def _wait_asked_for(error: Exception) -> float | None:
    """Seconds, where the answer says after how many, or when, to ask again."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    told = headers.get("Retry-After", "").strip()
    if told.isdigit():
        return float(told)
    if status_of(error) == 429 and (left := re.search(r"r=0;.*?t=(\d+)", headers.get("RateLimit", ""))):
        return float(left[1])
    try:
        return max((parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):  # no date, or one without a zone
        return None


_REMEDIES = {
    400: "The Hub does not take the name or a file of it.",
    401: "Log in with `hf auth login`, or set HF_TOKEN to a token that may do this; also check the name.",
    402: "The Hub wants to be paid for it: look at your plan and storage.",
    403: "Your token may not do this: use one with the right to it.",
    404: "Check the name and the revision; a private repository needs `hf auth login` or HF_TOKEN.",
    409: "Somebody else is writing to it: try again.",
    412: "Somebody else has pushed in between: look at the repository, then push again.",
    413: "A file is larger than the Hub takes.",
}


def _explained(error: Exception, told: float | None, what: str, repo: str) -> BertkitError:
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, OfflineModeIsEnabled

    network = "Check the network and HF_ENDPOINT."
    if isinstance(error, OfflineModeIsEnabled):
        offline = "Unset HF_HUB_OFFLINE to reach the Hub, or use a copy that is in the cache."
        return HostError(f"{what}: HF_HUB_OFFLINE is set", where=repo, remedy=offline)
    if isinstance(error, GatedRepoError):
        return HostError(f"{what}: access has to be granted", where=repo, remedy="Ask for it on the repository's page.")
    if (status := status_of(error)) is not None:
        return HostError(f"{what}: the Hub answers {_answer(error, status)}", where=repo, remedy=_remedy(status, told))
    if isinstance(error, UnicodeEncodeError):
        token = "Copy the token anew from https://huggingface.co/settings/tokens: it is ASCII letters and digits."
        return HostError(f"{what}: the token has a character that no token has", where=repo, remedy=token)
    if isinstance(error, LocalEntryNotFoundError) or type(error).__name__ in ("ConnectError", "ConnectTimeout"):
        reached = f"{what}: the Hub cannot be reached ({_first_line(error)})"
        return HostError(reached, where=repo, remedy=f"{network[:-1]}; or give a folder.")
    if type(error) is ValueError and "metadata" in str(error):
        said = "; ".join(line.strip("- ") for line in without_secrets(str(error)).splitlines()[1:])
        return ConfigError(
            f"the Hub does not take the card: {said}", where=repo, remedy="Check --license and --language."
        )
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        where = str(error.filename or repo)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        disk = "Free some space, or set HF_HOME to another disk." if full else "See that it can be read and written."
        return HostError(f"{what}: {error.strerror}", where=where, remedy=disk)
    return HostError(f"{what}: {_first_line(error)}", where=repo, remedy=network)


def _remedy(status: int, told: float | None) -> str | None:
    if status == 429:
        return f"The Hub asks to wait: try again in {'some minutes' if told is None else f'{told:.0f} s'}."
    return _REMEDIES.get(status, "The Hub has a problem: try again later." if status >= 500 else None)


def _answer(error: Any, status: int) -> str:
    """The status, and what the Hub says beside it."""
    said = " ".join(without_secrets(str(getattr(error, "server_message", None) or "")).split())[:200]
    return f"{status}: {said}" if said else str(status)


def _first_line(error: Exception) -> str:
    return next(
        (line.strip() for line in without_secrets(str(error)).splitlines() if line.strip()), type(error).__name__
    )


def without_secrets(text: str) -> str:
    """Without secrets and what would steer a terminal."""
    return "".join(c for c in _SECRET.sub("***", text) if c.isprintable() or c in "\n ")
