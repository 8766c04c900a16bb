"""What a user can fix, as typed errors: what is wrong, where, the value seen, and what to do next.

The command line prints these without a traceback and exits with the class's code; anything else is a bug and
keeps its traceback.
"""

from collections.abc import Sequence
from typing import ClassVar


class BertkitError(Exception):
    """A problem with a cause the user can reach.

    `where` is a place a person can open: `file:line`, `file: byte N`, a JSON pointer or a config path.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        message = f"{where}: {what}" if where else what
        super().__init__(f"{message}\n  {remedy}" if remedy else message)


class ConfigError(BertkitError):
    """A config file, preset, pipeline or override that does not say what it must."""


class DataError(BertkitError):
    """Input data that cannot be used as it is."""


class StageError(BertkitError):
    """Stages that do not fit together, or a directory that does not belong to the run."""


class HostError(BertkitError):
    """Disk, memory, permission, a missing package or an unreachable network."""

    exit_code = 3


class IntegrityError(BertkitError):
    """Files whose bytes are not those that were written."""

    exit_code = 4


class NumericError(BertkitError):
    """A loss or gradient that is not finite."""

    exit_code = 5


class TerminatedError(BertkitError):
    """The process was asked to end (SIGTERM), saved what it had and can be gone on with."""

    exit_code = 143


class BusyError(BertkitError):
    """Another run holds the directory."""

    exit_code = 75


def did_you_mean(word: str, choices: Sequence[str]) -> str:
    """`, did you mean 'x'?` for the nearest of `choices`, or an empty string."""
    from difflib import get_close_matches

    near = get_close_matches(word, choices, n=1, cutoff=0.6)
    return f", did you mean {near[0]!r}?" if near else ""
