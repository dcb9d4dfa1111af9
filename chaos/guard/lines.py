"""The lines of an undo log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chaos.config import Protocol
from chaos.guard.reach import Place
from chaos.guard.undo import Undo
from chaos.processes.handle import Handle


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Runner(_Line):
    """A process that injects, told from a later one with the same number by when it started."""

    pid: int
    started: int

    @classmethod
    def this(cls) -> Runner:
        """This process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Runner:
        """The process *pid*, as it is now."""
        return cls(pid=pid, started=_started(pid) or 0)

    def lives(self) -> bool:
        """Whether it still runs."""
        return _started(self.pid) == self.started


class Member(_Line):
    """A process of a lab.

    Attributes:
        handle: how to act on it; a kind, and what the stack that runs it needs.
        doors: where it listens, past every proxy, and what is spoken there.
    """

    handle: Handle
    doors: Mapping[str, Protocol] = {}


class Lab(_Line):
    """The first line: whose log this is, and how others get at that lab. Nothing secret.

    Attributes:
        runner: the process that injects.
        edges: where its edges are.
        postgres: where its Postgres listens.
        processes: what its stack runs, by name.
    """

    line: Literal["lab"] = "lab"
    runner: Runner
    edges: tuple[Place, ...]
    postgres: str | None = None
    processes: Mapping[str, Member] = {}


class Entered(_Line):
    """A change that may be made from now on, and what takes it back."""

    line: Literal["entered"] = "entered"
    number: int = Field(ge=1)
    undo: Undo
    at_most_s: float = Field(gt=0)
    since: datetime


class Struck(_Line):
    """A change that has been taken back, and how."""

    line: Literal["struck"] = "struck"
    number: int = Field(ge=1)
    how: str


LINE: Final[TypeAdapter[Lab | Entered | Struck]] = TypeAdapter(
    Annotated[Lab | Entered | Struck, Field(discriminator="line")]
)


def _started(pid: int) -> int | None:
    """When process *pid* started, in clock ticks since boot; None when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
