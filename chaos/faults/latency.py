"""Slow replies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chaos.clock import NS_PER_MS
from chaos.faults.arguments import LONGEST_MS, check, share, whole
from chaos.faults.bites import SEEN_FROM_MS, SLACK_MS, quickest
from chaos.faults.fault import Change
from chaos.faults.toxics import toxic
from chaos.lab import Edge, Lab
from chaos.probes import Answer, probe
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Every reply comes later; requests arrive as before.

    Toxiproxy delays each chunk of data, so an exchange of n round trips pays n times.

    Attributes:
        delay_ms: how much later; SEEN_FROM_MS at least, or nobody could tell it from a busy machine.
        jitter_ms: up to so much more or less, drawn for each chunk; leaves SEEN_FROM_MS of the delay.
        toxicity: share of connections that are slow, drawn once per connection.
    """

    delay_ms: int
    jitter_ms: int = 0
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        most = self.delay_ms if isinstance(self.delay_ms, int) else LONGEST_MS
        check(
            self,
            whole(self, "delay_ms", SEEN_FROM_MS, LONGEST_MS),
            whole(self, "jitter_ms", 0, max(0, min(most, LONGEST_MS) - SEEN_FROM_MS)),
            share(self),
        )

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic on the replies."""
        slow = partial(_slow, at_least_ms=self.delay_ms - self.jitter_ms - SLACK_MS)
        return tuple(
            toxic(
                edge,
                "latency",
                "downstream",
                shows=slow,
                toxicity=self.toxicity,
                latency=self.delay_ms,
                jitter=self.jitter_ms,
            )
            for edge in lab.edges(on)
        )


def _slow(edge: Edge, at_least_ms: float) -> Bite:
    past = quickest(edge.probe_directly)
    through = probe(edge.listen, edge.protocol, (at_least_ms * 2 + 1000) * NS_PER_MS / 1e9)
    return Bite(
        on=edge.name,
        expected=f"answered at least {at_least_ms:g} ms later than past the proxy",
        measured=f"{through} through the proxy, {past} past it",
        late_ms=through.took_ms - past.took_ms,
        held=past.answer is through.answer is Answer.ANSWERED and through.took_ms - past.took_ms >= at_least_ms,
    )
