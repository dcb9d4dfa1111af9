"""A thin pipe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chaos.clock import NS_PER_MS, NS_PER_S
from chaos.faults.arguments import check, share, whole
from chaos.faults.bites import quickest
from chaos.faults.fault import Change
from chaos.faults.toxics import toxic
from chaos.lab import Edge, Lab
from chaos.probes import LONGEST_REPLY, converse, long_question
from chaos.results.model import Bite

WIDEST_KBPS = 1000
"""A probe gets at most LONGEST_REPLY bytes without a log-in; in a wider pipe it could see nothing."""

LONG_ENOUGH_MS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Bandwidth:
    """Replies come through a thin pipe; small ones hardly later, large ones much.

    Toxiproxy counts for each connection by itself, and passes what it holds on in pieces of 100 ms.

    Attributes:
        rate_kbps: thousand bytes per second.
        toxicity: share of connections, drawn once for each.
    """

    rate_kbps: int
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        check(self, whole(self, "rate_kbps", 1, WIDEST_KBPS), share(self))

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic on the replies."""
        shows = partial(_thin, rate_kbps=self.rate_kbps)
        return tuple(
            toxic(edge, "bandwidth", "downstream", shows=shows, toxicity=self.toxicity, rate=self.rate_kbps)
            for edge in lab.edges(on)
        )


def _thin(edge: Edge, rate_kbps: int) -> Bite:
    """Time a reply that takes LONG_ENOUGH_MS in the pipe, or is as long as a probe can have it."""
    size = min(LONGEST_REPLY, rate_kbps * LONG_ENOUGH_MS)
    question, expected_ms = long_question(edge.protocol, size), size / rate_kbps
    past = quickest(lambda: converse(edge.upstream, question, size, 1.0))
    through = converse(edge.listen, question, size, 1.0 + 5 * expected_ms * NS_PER_MS / NS_PER_S)
    return Bite(
        on=edge.name,
        expected=f"{size} bytes about {expected_ms:.0f} ms later than past the proxy",
        measured=f"{through} through the proxy, {past} past it",
        late_ms=through.took_ms - past.took_ms,
        held=min(past.received, through.received) >= size and through.took_ms - past.took_ms >= 0.7 * expected_ms,
    )
