"""What a fault is, and what counts as evidence that it took hold."""

from __future__ import annotations

from typing import Final, Protocol

from chaos.lab import Edge, Lab
from chaos.probes import Answer, probe
from chaos.results.model import Bite

SILENCE_S: Final = 0.25
"""How long a probe waits before it calls an edge silent; a healthy one answers in about 1 ms."""


class Fault(Protocol):
    """Something that can be injected on the edges that a glob selects, and healed.

    ``inject`` returns when the change is read back; ``heal`` may be called at any time, also twice
    or without an ``inject``. Both raise LabError.
    """

    def inject(self, lab: Lab, on: str) -> None:
        """Make it take hold on every edge that matches *on*."""

    def bite(self, lab: Lab, on: str) -> tuple[Bite, ...]:
        """Measure, for each edge, whether it took hold."""

    def heal(self, lab: Lab, on: str) -> None:
        """Take it back."""


def contrast(edge: Edge, expected: Answer) -> Bite:
    """Probe *edge* through its proxy and past it: the dependency is well, the way to it is not."""
    through = probe(edge.listen, edge.protocol, SILENCE_S)
    past = edge.probe_directly()
    return Bite(
        on=edge.name,
        expected=f"{expected} through the proxy, answered past it",
        measured=f"{through} through the proxy, {past} past it",
        held=through.answer is expected and past.answer is Answer.ANSWERED,
    )
