"""Replies in many small pieces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chaos.clock import NS_PER_S
from chaos.faults.arguments import check, share, whole
from chaos.faults.fault import Change
from chaos.faults.toxics import toxic
from chaos.lab import Edge, Lab
from chaos.probes import LONGEST_REPLY, converse, long_question
from chaos.results.model import Bite

LARGEST_BYTES = 4000
SLOWEST_US = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Slicer:
    """Replies come in pieces, as over a bad network: who takes one read for one message breaks.

    Attributes:
        average_bytes: size of a piece.
        variation_bytes: up to so much more or less; less than the average.
        delay_us: microseconds between two pieces.
        toxicity: share of connections, drawn once for each.
    """

    average_bytes: int
    variation_bytes: int = 0
    delay_us: int = 0
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        largest = self.average_bytes - 1 if isinstance(self.average_bytes, int) else LARGEST_BYTES
        check(
            self,
            whole(self, "average_bytes", 1, LARGEST_BYTES),
            whole(self, "variation_bytes", 0, max(0, min(largest, LARGEST_BYTES))),
            whole(self, "delay_us", 0, SLOWEST_US),
            share(self),
        )

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic on the replies."""
        shows = partial(_sliced, largest=self.average_bytes + self.variation_bytes, delay_us=self.delay_us)
        return tuple(
            toxic(
                edge,
                "slicer",
                "downstream",
                shows=shows,
                toxicity=self.toxicity,
                average_size=self.average_bytes,
                size_variation=self.variation_bytes,
                delay=self.delay_us,
            )
            for edge in lab.edges(on)
        )


def _sliced(edge: Edge, largest: int, delay_us: int) -> Bite:
    """Let the kernel count the TCP segments of a reply of at least ten pieces, if it can be so long."""
    size = min(LONGEST_REPLY, 10 * largest)
    question = long_question(edge.protocol, size)
    past = converse(edge.upstream, question, size, 1.0)
    through = converse(edge.listen, question, size, 1.0 + 100 * delay_us * 1000 / NS_PER_S)
    return Bite(
        on=edge.name,
        expected=f"at most {largest} bytes in a segment on average, more past the proxy",
        measured=f"{through} through the proxy, {past} past it",
        late_ms=through.took_ms - past.took_ms,
        held=min(past.received, through.received) >= size
        and through.received <= largest * through.segments
        and past.received > largest * past.segments,
    )
