"""The runner strikes an undo out only when the wire shows that it worked."""

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chaos.clock import wait_for
from chaos.config import Address
from chaos.errors import HealError, LabError
from chaos.guard.keeper import Keeper
from chaos.guard.reach import Place, Reach
from chaos.guard.undo import Enable, RemoveToxic
from chaos.probes import Answer, probe
from chaos.proxies import Toxiproxy, Transport
from chaos.stacks.ports import PortBlock
from tests.unit.chaos.guard.support import Notes

EDGE = "web.api"


@pytest.fixture
def upstream() -> Iterator[int]:
    """The port of a dependency that is well."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as well:
        threading.Thread(target=well.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield well.server_port
        well.shutdown()


@pytest.fixture
def place(server: Toxiproxy, block: PortBlock, upstream: int) -> Place:
    """An edge to it."""
    made = server.create(f"127.0.0.1:{upstream}", EDGE, f"127.0.0.1:{block.ports[1]}")
    return Place(name=EDGE, listen=made.listen, upstream=made.upstream, protocol="http")


@pytest.fixture
def keeper(server: Toxiproxy, place: Place) -> Keeper:
    """Of the lab with that edge."""
    return Keeper(Reach(toxiproxy=lambda _: server, places={EDGE: place}), Notes())


def slow(keeper: Keeper, server: Toxiproxy, name: str = "slow") -> int:
    """Make the edge slow; returns the number of the undo."""
    number = keeper.enter(RemoveToxic(toxiproxy=server.url, proxy=EDGE, toxic=name), 60)
    server.handle(EDGE).add_toxic(type="latency", name=name, attributes={"latency": 10, "jitter": 0})
    return number


def answers(place: Place) -> bool:
    """Whether the edge does."""
    return probe(Address.parse(place.listen), "http").answer is Answer.ANSWERED


def test_an_edge_without_its_proxy_is_made_anew(keeper: Keeper, server: Toxiproxy, place: Place) -> None:
    """That its toxic is gone with it does not make it healed."""
    number = slow(keeper, server)
    server.handle(EDGE).destroy()
    keeper.undo(number)
    assert answers(place)


class Forgetful(Transport):
    """Says that it has taken a toxic out, and has not."""

    def call(self, method: str, path: str, body: object = None, within_s: float | None = None) -> Any:
        if method == "DELETE" and "/toxics/" in path:
            return None
        return super().call(method, path, body, within_s)


def test_a_toxic_that_is_still_there_is_not_healed(server: Toxiproxy, place: Place) -> None:
    """Although Toxiproxy has said that it is gone, and the edge answers through it: the proxy is made anew."""
    forgetful = Toxiproxy(server.url)
    forgetful.transport = Forgetful(server.url)
    keeper = Keeper(Reach(toxiproxy=lambda _: forgetful, places={EDGE: place}), Notes())
    keeper.undo(slow(keeper, server))
    assert server.proxies()[EDGE].toxics() == {}
    assert answers(place)


def test_what_cannot_be_made_anew_is_told_with_the_command(keeper: Keeper, server: Toxiproxy, place: Place) -> None:
    """The toxic is gone, the edge is dead, something else has its port: not healed, and still owed."""
    number = slow(keeper, server)
    server.handle(EDGE).destroy()
    address = Address.parse(place.listen)
    with socket.create_server((address.host, address.port), backlog=0), pytest.raises(HealError) as told:
        keeper.undo(number)
    assert f"""curl -X POST -d '{{"name": "{EDGE}", "listen": "{place.listen}", """ in str(told.value)
    assert f"curl -X DELETE {server.url}/proxies/{EDGE}/toxics/slow" in str(told.value)
    assert keeper.is_owed(number)
    keeper.undo(number)
    assert answers(place)


def test_what_was_lost_with_a_proxy_that_was_made_anew_is_told(keeper: Keeper, server: Toxiproxy) -> None:
    """No experiment goes on as if its other fault on that edge were still there."""
    number = slow(keeper, server)
    slow(keeper, server, "other")
    keeper.check()
    server.handle(EDGE).destroy()
    keeper.undo(number)
    with pytest.raises(LabError, match="undone by making the proxy anew, and others that were there are gone"):
        keeper.check()


def test_what_somebody_else_has_taken_back_is_taken_back_again(keeper: Keeper, server: Toxiproxy, place: Place) -> None:
    """The change may have been made after that."""
    number = keeper.enter(Enable(toxiproxy=server.url, proxy=EDGE), 60)
    keeper._record.others = {number: "it had been there for its maximum duration"}
    assert not keeper.is_owed(number)
    server.handle(EDGE).disable()
    keeper.undo(number)
    wait_for(lambda: answers(place), what="the edge answers", within_s=1)
    assert keeper._record.struck == [number]
