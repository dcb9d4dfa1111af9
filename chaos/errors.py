"""What can go wrong with the lab itself.

A weakness found in the platform is a value (a ``Finding``), never an exception. An exception
means that the lab could not do its work::

    LabError                    exit code 3
    ├── UsageError              exit code 2: the caller can put it right
    │   ├── ConfigError         a file or setting is wrong; lists every problem at once
    │   ├── FaultError          a fault's arguments make no sense; lists every problem at once
    │   ├── UnknownNameError         no such edge, scenario or service; lists the candidates
    │   ├── PortTakenError           a port that the stack needs is in use
    │   ├── HaltedError              a HALT file forbids faults
    │   └── MissingToolError         a program is nowhere to be had; lists the ways to get it
    ├── StackError              a process of the stack did not start or died
    ├── ProxyError              Toxiproxy refused, or answered something else than was asked
    │   ├── NotHeldError             Toxiproxy holds no such proxy or toxic
    │   └── ProxyTimeoutError        Toxiproxy did not answer before the deadline
    ├── HistoryError            a recorded file is damaged; names the line
    └── HealError               exit code 4: a fault could not be taken back
        └── UndoLogError             an undo log is damaged, or names what the lab may not touch; names the line
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class LabError(Exception):
    """The lab could not do its work."""

    exit_code: ClassVar[int] = 3


class UsageError(LabError):
    """The request or its surroundings are wrong, and the caller can put them right."""

    exit_code: ClassVar[int] = 2


class ConfigError(UsageError):
    """A file or setting is wrong.

    Attributes:
        source: the file or variable at fault.
        problems: every problem found, one sentence each.
    """

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{source}: {_count(self.problems)}", *(f"  - {p}" for p in self.problems)]))


class FaultError(UsageError, ValueError):
    """A fault's arguments make no sense.

    Attributes:
        fault: what it is called, such as "Latency".
        problems: every problem found, one sentence each.
    """

    def __init__(self, fault: str, problems: Sequence[str]) -> None:
        self.fault = fault
        self.problems = tuple(problems)
        super().__init__(f"{fault}: " + "; ".join(self.problems))


class UnknownNameError(UsageError):
    """Nothing carries this name.

    Attributes:
        kind: what was looked for ("edge", "scenario").
        name: the name or glob as it was given.
        candidates: the names that exist.
    """

    def __init__(self, kind: str, name: str, candidates: Iterable[str]) -> None:
        self.kind, self.name, self.candidates = kind, name, tuple(sorted(candidates))
        near = difflib.get_close_matches(name, self.candidates, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"no {kind} matches {name!r}.{hint} There are: {', '.join(self.candidates) or 'none'}")


class PortTakenError(UsageError):
    """Ports that the stack needs are in use by something else."""


class MissingToolError(UsageError):
    """A program that the lab needs is nowhere to be had."""


class HaltedError(UsageError):
    """A HALT file forbids faults, and ends what runs."""


class StackError(LabError):
    """A process of the stack did not start, or ended when it should not have."""


class ProxyError(LabError):
    """Toxiproxy refused a change, or holds something else than what was asked for."""


class NotHeldError(ProxyError):
    """Toxiproxy holds no such proxy or toxic."""


class ProxyTimeoutError(ProxyError):
    """Toxiproxy did not answer before the deadline."""


class HistoryError(LabError):
    """A recorded file is damaged or not one of ours."""


class HealError(LabError):
    """A fault could not be taken back; the message lists what is left and how to undo it."""

    exit_code: ClassVar[int] = 4


class UndoLogError(HealError):
    """An undo log is damaged, or names something that the lab may not touch."""


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into one clear error."""
    try:
        yield
    except OSError as error:
        way_out = "name another folder with CHAOS_LAB_CACHE, TMPDIR or --results"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = f"no space left on the disk of {where}; free some, or {way_out}"
            raise LabError(msg) from error
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            msg = f"cannot write to {where}: {error.strerror}; {way_out}"
            raise UsageError(msg) from error
        raise


def _count(problems: Sequence[str]) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
