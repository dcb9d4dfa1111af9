"""Connections that linger."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chaos.clock import NS_PER_MS, NS_PER_S
from chaos.faults.arguments import LONGEST_MS, check, share, whole
from chaos.faults.bites import SEEN_FROM_MS, SLACK_MS, quickest
from chaos.faults.fault import Change
from chaos.faults.toxics import toxic
from chaos.lab import Edge, Lab
from chaos.probes import FAREWELLS, converse
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowClose:
    """When the dependency closes a connection, the caller hears of it later.

    Attributes:
        delay_ms: how much later; SEEN_FROM_MS at least, or nobody could tell it from a busy machine.
        toxicity: share of connections, drawn once for each.
    """

    delay_ms: int
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        check(self, whole(self, "delay_ms", SEEN_FROM_MS, LONGEST_MS), share(self))

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic on the replies."""
        shows = partial(_lingers, delay_ms=self.delay_ms)
        return tuple(
            toxic(edge, "slow_close", "downstream", shows=shows, toxicity=self.toxicity, delay=self.delay_ms)
            for edge in lab.edges(on)
        )


def _lingers(edge: Edge, delay_ms: int) -> Bite:
    """Time how long it takes to the end of the stream when the dependency is made to close."""
    farewell = FAREWELLS.get(edge.protocol, b"")
    past = quickest(lambda: converse(edge.upstream, farewell, None, 1.0))
    through = converse(edge.listen, farewell, None, 1.0 + 2 * delay_ms * NS_PER_MS / NS_PER_S)
    return Bite(
        on=edge.name,
        expected=f"closed at least {delay_ms - SLACK_MS:g} ms later than past the proxy",
        measured=f"{through} through the proxy, {past} past it",
        late_ms=through.took_ms - past.took_ms,
        held=past.closed and through.closed and through.took_ms - past.took_ms >= delay_ms - SLACK_MS,
    )
