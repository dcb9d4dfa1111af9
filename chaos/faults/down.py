"""Connection refused."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults.bites import contrast
from chaos.faults.fault import Change
from chaos.guard.undo import Enable
from chaos.lab import Edge, Lab
from chaos.probes import Answer
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class Down:
    """Existing connections are dropped and new ones refused, as when a server's process is gone."""

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """The proxies stop to listen."""
        return tuple(_Disabled(edge=edge) for edge in lab.edges(on))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Disabled:
    edge: Edge

    @property
    def undo(self) -> Enable:
        return Enable(toxiproxy=self.edge.server.url, proxy=self.edge.name)

    def apply(self) -> None:
        self.edge.proxy.disable()

    def bite(self) -> tuple[Bite, ...]:
        """The edge refuses, and its dependency answers."""
        return (contrast(self.edge, Answer.REFUSED),)
