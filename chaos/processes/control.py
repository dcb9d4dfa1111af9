"""What process faults do to the processes of a stack, however they are run."""

from __future__ import annotations

import signal
from collections.abc import Collection, Mapping
from typing import Protocol

from chaos.processes.handle import Handle
from chaos.processes.supervisor import Look


class Running(Protocol):
    """A process of a stack."""

    @property
    def pid(self) -> int:
        """The process id that it has now, or had last."""


class Revivable(Protocol):
    """What takes process faults back, by name; each raises UnknownNameError and LabError."""

    def look(self, name: str) -> Look:
        """How it is now."""

    def pause(self, name: str) -> None:
        """Stop it with its family; returns when all stand still."""

    def resume(self, name: str) -> None:
        """Let it go on; nothing happens to one that runs or is dead."""

    def start(self, name: str) -> None:
        """Start it unless it runs; returns when it does its work."""


class Processes(Revivable, Protocol):
    """What process faults do to the processes of a stack, by name; each raises UnknownNameError and LabError."""

    def names(self) -> Collection[str]:
        """Those that may be hit; the lab's own Toxiproxy is not among them."""

    def handles(self) -> Mapping[str, Handle]:
        """How others can act on them, and on the lab's own Toxiproxy, when the runner no longer can."""

    def kill(self, name: str) -> None:
        """Kill it with its family; returns when they are gone."""

    def restart(self, name: str, number: signal.Signals | None) -> None:
        """End it with signal *number* (default: in good order) and start it again at once.

        One that does not run stays dead, one that was paused is paused again.
        """
