"""Replies that are cut off."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chaos.faults.arguments import check, share, whole
from chaos.faults.fault import Change
from chaos.faults.toxics import toxic
from chaos.lab import Edge, Lab
from chaos.probes import converse, long_question
from chaos.results.model import Bite

MOST_BYTES = 8000
"""A probe must get more than that without a log-in, to see that the rest is missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitData:
    """A connection is closed after so many bytes of replies, in the middle of one.

    Toxiproxy counts on each connection from the moment at which the fault began.

    Attributes:
        bytes: how many still arrive.
        toxicity: share of connections, drawn once for each.
    """

    bytes: int
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        check(self, whole(self, "bytes", 1, MOST_BYTES), share(self))

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic on the replies."""
        shows = partial(_cut, limit=self.bytes)
        return tuple(
            toxic(edge, "limit_data", "downstream", shows=shows, toxicity=self.toxicity, bytes=self.bytes)
            for edge in lab.edges(on)
        )


def _cut(edge: Edge, limit: int) -> Bite:
    question = long_question(edge.protocol, limit + 200)
    past = converse(edge.upstream, question, limit + 1, 1.0)
    through = converse(edge.listen, question, limit + 1, 1.0)
    return Bite(
        on=edge.name,
        expected=f"closed after {limit} bytes through the proxy, more past it",
        measured=f"{through} through the proxy, {past} past it",
        held=through.closed and through.received == limit and past.received > limit,
    )
