"""Connection refused."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults.fault import contrast
from chaos.lab import Lab
from chaos.probes import Answer
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class Down:
    """Existing connections are dropped and new ones refused, as when a server's process is gone."""

    def inject(self, lab: Lab, on: str) -> None:
        """Disable the proxies."""
        for edge in lab.edges(on):
            edge.proxy.disable()

    def bite(self, lab: Lab, on: str) -> tuple[Bite, ...]:
        """Each edge refuses, and its dependency answers."""
        return tuple(contrast(edge, Answer.REFUSED) for edge in lab.edges(on))

    def heal(self, lab: Lab, on: str) -> None:
        """Enable the proxies."""
        for edge in lab.edges(on):
            edge.proxy.enable()
