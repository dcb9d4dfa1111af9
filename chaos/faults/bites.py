"""Measurements on the wire that tell whether a fault took hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from chaos.config import Address
from chaos.config import Protocol as Spoken
from chaos.lab import Edge
from chaos.probes import Answer, Probe, probe
from chaos.results.model import Bite

SILENCE_S: Final = 0.25
"""How long a probe waits before it calls an edge silent; a healthy one answers in about 1 ms."""

SLACK_MS: Final = 5.0
"""What Toxiproxy's timers may be early by."""

SEEN_FROM_MS: Final = 10
"""The shortest delay that a probe can see: less the slack, it must be more than a round trip takes."""

FALSE_NO: Final = 1e-6
"""The chance that a fault of some toxicity took hold, and no probe drew it."""


def until_hit(measure: Callable[[], Bite], toxicity: float) -> Bite:
    """Measure on new connections until one is hit by a fault of this *toxicity*.

    The share of connections is drawn by Toxiproxy, one by one, so n probes all miss with the chance
    ``(1 - toxicity) ** n``; n is chosen to make that at most FALSE_NO.
    """
    most, tried = probes_needed(toxicity), 1
    while not (bite := measure()).held and tried < most:
        tried += 1
    if most == 1:
        return bite
    number = f"on connection {tried} of at most {most} (all miss with chance {FALSE_NO:g})"
    return replace(bite, measured=f"{bite.measured}, {number}")


def probes_needed(toxicity: float) -> int:
    """How many connections it takes until one is hit, but for a chance of FALSE_NO."""
    return 1 if toxicity >= 1 else math.ceil(math.log(FALSE_NO) / math.log1p(-toxicity))


class _Timed(Protocol):
    @property
    def took_ms(self) -> float: ...


Measured = TypeVar("Measured", bound=_Timed)


def quickest(measure: Callable[[], Measured]) -> Measured:
    """The quickest of three: what a busy machine adds is not the dependency's."""
    return min((measure() for _ in range(3)), key=lambda measured: measured.took_ms)


def contrast(edge: Edge, expected: Answer, within_s: float = SILENCE_S) -> Bite:
    """Probe *edge* through its proxy and past it: the dependency is well, the way to it is not."""
    through = probe(edge.listen, edge.protocol, within_s)
    past = edge.probe_directly()
    return Bite(
        on=edge.name,
        expected=f"{expected} through the proxy, answered past it",
        measured=f"{through} through the proxy, {past} past it",
        held=through.answer is expected and past.answer is Answer.ANSWERED,
    )


def at_doors(doors: Mapping[Address, Spoken]) -> dict[Address, Probe]:
    """Ask a process itself, past every proxy."""
    return {address: probe(address, spoken, SILENCE_S) for address, spoken in doors.items()}
