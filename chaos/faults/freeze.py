"""A partition that heals without loss."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.faults.arguments import check, one_of, share
from chaos.faults.bites import SILENCE_S, until_hit
from chaos.faults.fault import Change
from chaos.faults.silence import Blackhole
from chaos.faults.toxics import ToxicOn, toxic
from chaos.guard.undo import RemoveToxic
from chaos.lab import Edge, Lab
from chaos.probes import QUESTIONS, Answer
from chaos.results.model import Bite

THAWED_WITHIN_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Freeze:
    """Nothing passes in either direction, and after the heal everything arrives.

    Toxiproxy's ``bandwidth`` with rate 0, as when a route is away for a while and TCP repeats what
    was lost.

    Attributes:
        heals: False closes the connections at the heal instead, and what was under way is lost: Blackhole.
        toxicity: share of connections, drawn for each direction of each.
    """

    heals: bool = True
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        check(self, one_of(self, "heals", (True, False)), share(self))

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic in each direction."""
        if not self.heals:
            return Blackhole(toxicity=self.toxicity).changes(lab, on)
        both: list[Change] = []
        for edge in lab.edges(on):
            both.append(toxic(edge, "bandwidth", "upstream", shows=None, toxicity=self.toxicity, rate=0))
            both.append(
                _Frozen(replies=toxic(edge, "bandwidth", "downstream", shows=None, toxicity=self.toxicity, rate=0))
            )
        return tuple(both)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frozen:
    """The replies of one edge; connections that were seen to be frozen are kept to see them thaw."""

    replies: ToxicOn
    asked: list[socket.socket] = field(default_factory=list)

    @property
    def undo(self) -> RemoveToxic:
        return self.replies.undo

    def apply(self) -> None:
        self.replies.apply()

    def rearm(self) -> None:
        self.replies.rearm()

    def relax(self) -> None:
        self.replies.relax()

    def bite(self) -> tuple[Bite, ...]:
        """A question gets no answer through the proxy; past it, it does."""
        return (until_hit(self._ask, self.replies.toxicity),)

    def bite_healed(self) -> tuple[Bite, ...]:
        """The answer to that question arrives on the same connection."""
        return tuple(self._thawed(connection) for connection in self.asked)

    def _ask(self) -> Bite:
        edge = self.replies.edge
        connection = socket.socket()
        heard = _heard(connection, edge)
        if heard is None:
            self.asked.append(connection)
        else:
            connection.close()
        past = edge.probe_directly()
        return Bite(
            on=edge.name,
            expected="silent through the proxy, answered past it",
            measured=f"{heard or 'silent'} through the proxy, {past} past it",
            held=heard is None and past.answer is Answer.ANSWERED,
        )

    def _thawed(self, connection: socket.socket) -> Bite:
        edge = self.replies.edge
        answer = b""
        with connection, suppress(OSError):
            connection.settimeout(THAWED_WITHIN_S)
            answer = connection.recv(64)
        return Bite(
            on=edge.name,
            expected="after the heal the answer arrives on the connection that was silent",
            measured=f"{answer[:20]!r}",
            held=bool(answer) and answer.startswith(QUESTIONS[edge.protocol][1]),
        )


def _heard(connection: socket.socket, edge: Edge) -> str | None:
    """Ask *edge* a question on *connection*: what came back, None for silence."""
    connection.settimeout(SILENCE_S)
    try:
        connection.connect((edge.listen.host, edge.listen.port))
        connection.sendall(QUESTIONS[edge.protocol][0])
        return repr(connection.recv(64))
    except TimeoutError:
        return None
    except ConnectionError as error:
        return str(error)
