"""Exit codes of the `pvtt-flow` command: what each means, and which error ends with which."""

from enum import IntEnum
from types import MappingProxyType

from pvtt_flow.errors import (
    ClusterError,
    ConfigError,
    DamageError,
    DataError,
    MachineError,
    PreflightError,
    StoreError,
)


class ExitCode(IntEnum):
    """Code with which a process ends; schedulers decide by it whether to start it again."""

    DONE = 0
    BAD = 1
    REFUSED = 2
    ENDED_EARLY = 3
    BUG = 70
    """EX_SOFTWARE of `sysexits.h`."""
    INTERRUPTED = 130
    """128 + SIGINT, as shells have it."""
    TERMINATED = 143
    """128 + SIGTERM."""


MEANINGS = MappingProxyType(
    {
        ExitCode.DONE: "done",
        ExitCode.BAD: "what was looked at is bad: too many failed videos, a damaged dataset, "
        "wrong weights",
        ExitCode.REFUSED: "refused before any work: change what the message names",
        ExitCode.ENDED_EARLY: "ended early, or a store or cluster does not answer: what is "
        "committed stays, run again",
        ExitCode.BUG: "a bug, with its traceback: report it",
        ExitCode.INTERRUPTED: "stopped by Ctrl-C: what is committed stays",
        ExitCode.TERMINATED: "stopped by SIGTERM: what is committed stays",
    }
)
# The first match counts: damage is a failure of the store that a repetition does not mend.
_CODES = (
    ((DataError, DamageError), ExitCode.BAD),
    ((ConfigError, PreflightError), ExitCode.REFUSED),
    ((StoreError, ClusterError, MachineError), ExitCode.ENDED_EARLY),
)


def code_of(error: Exception) -> ExitCode:
    """Return the code of a command that ends with this error."""
    return next((code for classes, code in _CODES if isinstance(error, classes)), ExitCode.BUG)


def help_text() -> str:
    """Return the meanings as lines for `--help`, which must not be wrapped."""
    lines = (f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())
    return "\n".join(("\b", "Exit codes:", *lines))
