"""Connections that are reset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chaos.clock import NS_PER_MS, NS_PER_S
from chaos.faults.arguments import check, one_of, share, whole
from chaos.faults.bites import SILENCE_S, contrast
from chaos.faults.fault import Change, fresh_name
from chaos.faults.toxics import ToxicOn, toxic
from chaos.guard.undo import RemoveToxic
from chaos.lab import Lab
from chaos.probes import Answer
from chaos.proxies import Stream
from chaos.results.model import Bite

LONGEST_RESET_MS = 1000
"""Toxiproxy cannot take the toxic out while it waits to reset, and a call to it has 2 s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResetPeer:
    """A connection is reset (TCP RST) when data comes along, as by a crashing server or a firewall.

    Toxiproxy resets only connections that were opened while the toxic was there; older ones are
    merely closed. That is why all open connections of the edge are closed once, when the fault
    begins: pools dial anew, and from then on every end is a reset. ``drop_open=False`` leaves them.

    Toxiproxy resets connections that the dependency itself closes in any case, whatever *toxicity*.

    Attributes:
        after_ms: how long the connection hangs before it is reset, at most 1 s.
        toxicity: share of connections; drawn once for each, anew with ``rearmed``.
        stream: "downstream" resets instead of a reply (the dependency has acted), "upstream" instead
            of a request (it never arrives).
        drop_open: close what is open when the fault begins.
    """

    after_ms: int = 0
    toxicity: float = 1.0
    stream: Stream = "downstream"
    drop_open: bool = True

    def __post_init__(self) -> None:
        check(
            self,
            whole(self, "after_ms", 0, LONGEST_RESET_MS),
            share(self),
            one_of(self, "stream", ("downstream", "upstream")),
            one_of(self, "drop_open", (True, False)),
        )

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic that resets, and one that closes what was open before."""
        shows = partial(contrast, expected=Answer.RESET, within_s=SILENCE_S + self.after_ms * NS_PER_MS / NS_PER_S)
        changes: list[Change] = []
        for edge in lab.edges(on):
            resets = toxic(edge, "reset_peer", self.stream, shows=shows, toxicity=self.toxicity, timeout=self.after_ms)
            if self.drop_open:
                lid = _Lid(over=resets, toxic=fresh_name("drop"))
                changes += [lid, _Lifting(resets=resets, lid=lid)]
            else:
                changes.append(resets)
        return tuple(changes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lid:
    """Holds back everything on the edge until the toxic *over* which it lies is there.

    Taking a ``timeout`` toxic out closes all connections, without refusing new ones.
    """

    over: ToxicOn
    toxic: str

    @property
    def undo(self) -> RemoveToxic:
        return RemoveToxic(toxiproxy=self.over.edge.server.url, proxy=self.over.edge.name, toxic=self.toxic)

    def apply(self) -> None:
        """Let nothing through."""
        self.over.edge.handle.add_toxic(type="timeout", name=self.toxic, attributes={"timeout": 0})

    def bite(self) -> tuple[Bite, ...]:
        """What it closes is seen by nobody but the platform."""
        return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lifting:
    """The toxic that resets; when it is there, the lid is lifted."""

    resets: ToxicOn
    lid: _Lid

    @property
    def undo(self) -> RemoveToxic:
        return self.resets.undo

    def apply(self) -> None:
        """Add the toxic, then close every connection that is older."""
        self.resets.apply()
        self.resets.edge.handle.destroy_toxic(self.lid.toxic)

    def rearm(self) -> None:
        """Draw anew which connections are reset."""
        self.resets.rearm()

    def bite(self) -> tuple[Bite, ...]:
        """A new connection is reset."""
        return self.resets.bite()
