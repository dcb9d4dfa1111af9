"""Changes that are toxics on a proxy; the faults made of them say which, and how they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from chaos.faults.bites import until_hit
from chaos.faults.fault import fresh_name
from chaos.guard.undo import RemoveToxic
from chaos.lab import Edge
from chaos.proxies import HOLD_DATA, Stream
from chaos.results.model import Bite


@dataclass(frozen=True, kw_only=True, slots=True)
class ToxicOn:
    """One toxic on one edge.

    Attributes:
        edge: where.
        toxic: its name, which no other has.
        type, stream, attributes, toxicity: as in ``Proxy.add_toxic``.
        shows: measures whether it took hold of a new connection; None for a part that cannot be seen
            by itself.
    """

    edge: Edge
    toxic: str
    type: str
    stream: Stream
    attributes: Mapping[str, int]
    toxicity: float
    shows: Callable[[Edge], Bite] | None

    @property
    def undo(self) -> RemoveToxic:
        """Take it out again."""
        return RemoveToxic(toxiproxy=self.edge.server.url, proxy=self.edge.name, toxic=self.toxic)

    def apply(self) -> None:
        """Add it."""
        self.edge.handle.add_toxic(
            type=self.type,
            stream=self.stream,
            name=self.toxic,
            toxicity=self.toxicity,
            attributes=self.attributes,
        )

    def rearm(self) -> None:
        """Draw anew which connections it takes hold of, the open ones too; raises ProxyError when it is gone."""
        self.edge.handle.update_toxic(self.toxic, toxicity=self.toxicity, attributes=self.attributes)

    def relax(self) -> None:
        """Let what it holds back go, so that it can be taken out."""
        if self.type in HOLD_DATA:
            self.edge.handle.relax_toxic(self.toxic)

    def bite(self) -> tuple[Bite, ...]:
        """Measure whether it took hold."""
        return (until_hit(partial(self.shows, self.edge), self.toxicity),) if self.shows else ()


def toxic(
    edge: Edge,
    type: str,  # noqa: A002  (Toxiproxy's word)
    stream: Stream,
    *,
    shows: Callable[[Edge], Bite] | None,
    toxicity: float = 1.0,
    **attributes: int,
) -> ToxicOn:
    """A toxic of *type* on *edge*, with a name of its own."""
    return ToxicOn(
        edge=edge,
        toxic=fresh_name(type),
        type=type,
        stream=stream,
        attributes=attributes,
        toxicity=toxicity,
        shows=shows,
    )
