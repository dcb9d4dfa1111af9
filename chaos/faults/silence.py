"""Faults in which packets vanish: both directions, or only the replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaos.faults.fault import contrast
from chaos.lab import Lab
from chaos.probes import Answer
from chaos.proxies import Stream
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class _Silence:
    """Toxiproxy's ``timeout: 0`` on some streams: data vanishes, connections stay open.

    Healing closes the connections that were silent; what was sent meanwhile is gone.
    """

    _streams: ClassVar[tuple[Stream, ...]]

    def inject(self, lab: Lab, on: str) -> None:
        """Add the toxic to each stream of each proxy."""
        for edge in lab.edges(on):
            proxy = edge.proxy
            for stream in self._streams:
                proxy.add_toxic(type="timeout", stream=stream, attributes={"timeout": 0})

    def bite(self, lab: Lab, on: str) -> tuple[Bite, ...]:
        """Each edge connects and stays silent, and its dependency answers."""
        return tuple(contrast(edge, Answer.SILENT) for edge in lab.edges(on))

    def heal(self, lab: Lab, on: str) -> None:
        """Remove the toxics."""
        for edge in lab.edges(on):
            proxy = edge.proxy
            for stream in self._streams:
                proxy.destroy_toxic(f"timeout_{stream}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Blackhole(_Silence):
    """Nothing arrives in either direction, and nobody is told."""

    _streams: ClassVar[tuple[Stream, ...]] = ("upstream", "downstream")


@dataclass(frozen=True, kw_only=True, slots=True)
class HalfOpen(_Silence):
    """Requests arrive, replies are lost: the dependency acts and the caller never hears of it."""

    _streams: ClassVar[tuple[Stream, ...]] = ("downstream",)
