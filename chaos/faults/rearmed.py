"""A fault that takes hold anew, again and again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaos.clock import NS_PER_MS, NS_PER_S
from chaos.config import Address
from chaos.errors import LabError, UsageError
from chaos.faults.arguments import LONGEST_MS, check, whole
from chaos.faults.background import Background
from chaos.faults.fault import Decaying, Effect, Fault, Injection, changes_of
from chaos.lab import Edge, Lab
from chaos.probes import dialling_ports
from chaos.results.model import Bite


def rearmed(fault: Fault, *, every_ms: int = 250, ends: int = 0) -> Rearmed:
    """*fault*, which draws anew every *every_ms* which connections it hits, the open ones too.

    A toxic of some toxicity decays with connection pools: the bad connections die and the survivors
    are all good. This keeps it up.

    Args:
        ends: how many connections that the platform keeps must have ended meanwhile, as the kernel shows
            them each time; the fault has not bitten its pools when there were fewer.
    """
    return Rearmed(fault=fault, every_ms=every_ms, ends=ends)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rearmed:
    """A fault that takes hold anew; made by ``rearmed``."""

    fault: Fault
    every_ms: int
    ends: int = 0

    def __post_init__(self) -> None:
        check(self, whole(self, "every_ms", 10, LONGEST_MS), whole(self, "ends", 0, 1_000_000))

    def effect(self, lab: Lab, on: str) -> Effect:
        """The fault in effect; raises UsageError for one that cannot be armed anew."""
        changes = changes_of(self.fault, lab, on)
        decaying = tuple(change for change in changes if isinstance(change, Decaying))
        if not decaying:
            msg = f"rearmed: {self.fault} draws no connections that could be drawn anew; flapping may be meant"
            raise UsageError(msg)
        injection = Injection(lab.keeper, changes)
        counted = lab.touched(injection.on) if self.ends else ()
        return _Rearming(injection, decaying, self, _Watched(counted))


class _Watched:
    """The connections that the platform keeps on some edges, as seen from time to time.

    Those of the lab's own probes do not last from one look to the next.
    """

    def __init__(self, edges: Iterable[Edge]) -> None:
        self._edges = {edge.listen: edge.name for edge in edges}
        self._open: set[tuple[Address, int]] = set()
        self._kept: set[tuple[Address, int]] = set()
        self.ended = 0

    def look(self) -> None:
        """Count those that were there at the last two looks and are not now."""
        if not self._edges:
            return  # reading the kernel's table takes a millisecond
        ports = dialling_ports(self._edges)
        now = {(address, port) for address, found in ports.items() for port in found}
        self.ended += len(self._kept - now)
        self._kept, self._open = self._open & now, now

    def bite(self, at_least: int) -> Bite:
        """Whether so many have ended."""
        return Bite(
            on=", ".join(self._edges.values()),
            expected=f"at least {at_least} connections that the platform keeps end",
            measured=f"{self.ended} of those seen twice in the kernel's table ended",
            held=self.ended >= at_least,
        )


class _Rearming:
    """An injection with a thread that arms it."""

    def __init__(self, injection: Injection, decaying: tuple[Decaying, ...], fault: Rearmed, watched: _Watched) -> None:
        self._injection = injection
        self._decaying = decaying
        self._every_s = fault.every_ms * NS_PER_MS / NS_PER_S
        self._ends = fault.ends
        self._watched = watched
        self._background = Background(self._rearm)

    @property
    def on(self) -> frozenset[str]:
        return self._injection.on

    def begin(self, at_most_s: float) -> None:
        for _ in range(2):  # what is open now is kept by the platform: the lab does not probe before a fault
            self._watched.look()
        self._injection.begin(at_most_s)
        self._background.start(self._every_s, at_most_s)

    def bite(self) -> tuple[Bite, ...]:
        return self._injection.bite()

    def heal(self) -> None:
        try:
            self._background.stop()
            self._watched.look()
        finally:
            self._injection.heal()

    def bite_later(self) -> tuple[Bite, ...]:
        pools = (self._watched.bite(self._ends),) if self._ends else ()
        return (*self._injection.bite_later(), *pools)

    def owed(self) -> bool:
        return self._injection.owed()

    def _rearm(self) -> float | None:
        """Arm every change; what the guard has taken out meanwhile cannot come back."""
        self._watched.look()
        try:
            for change in self._decaying:
                change.rearm()
        except LabError:
            if not self._injection.owed():
                return None
            raise
        return self._every_s if self._injection.owed() else None
