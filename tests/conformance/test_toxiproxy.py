"""What the real Toxiproxy does, so that a version that behaves otherwise is noticed.

Numbers in the names are those of the measured traps; `chaos/proxies.py` is built on them.
"""

import contextlib
import itertools
import socket
import time
from collections.abc import Iterator

import pytest
import requests

from chaos.clock import wait_for
from chaos.config import Address
from chaos.errors import LabError, ProxyError, ProxyTimeoutError
from chaos.probes import Answer, probe
from chaos.proxies import Proxy, Toxiproxy
from chaos.stacks.ports import PortBlock
from tests.support.busy import CHUNK, Server, connect, leave_in_flight, reset

HOLDING = [
    {"type": "latency", "attributes": {"latency": 3000}},
    {"type": "bandwidth", "attributes": {"rate": 1}},
    {"type": "bandwidth", "attributes": {"rate": 0}},
    {"type": "slicer", "attributes": {"average_size": 100, "delay": 10_000}},
]


@pytest.fixture
def upstream() -> Iterator[Server]:
    """A server with small replies."""
    running = Server(b"pong")
    yield running
    running.close()


@pytest.fixture
def proxy(server: Toxiproxy, upstream: Server, block: PortBlock) -> Proxy:
    """A proxy in front of it."""
    return server.create(str(upstream.address), "a.b", f"127.0.0.1:{block.ports[1]}")


def ask(connection: socket.socket) -> bytes:
    """One question and its answer; b"" when the other side closed."""
    connection.sendall(b"ping")
    return connection.recv(16)


def test_x1_taking_out_a_busy_latency_blocks_the_control_plane(expendable: Toxiproxy, block: PortBlock) -> None:
    """With 200 kB in flight and the client gone, a plain DELETE does not answer in time."""
    busy = Server(CHUNK)
    proxy = expendable.create(str(busy.address), "busy.b", f"127.0.0.1:{block.ports[2]}")
    proxy.add_toxic(type="latency", attributes={"latency": 3000})
    for _ in range(3):
        leave_in_flight(proxy)
    impatient = Toxiproxy(expendable.transport.url, within_s=1.0)
    with pytest.raises(ProxyTimeoutError):
        impatient.transport.call("DELETE", "/proxies/busy.b/toxics/latency_downstream")
    with pytest.raises(ProxyTimeoutError):
        impatient.proxies()
    busy.close()


@pytest.mark.slow
def test_x1_letting_it_take_hold_of_nobody_first_does_not(server: Toxiproxy, block: PortBlock) -> None:
    """The lab's own removal takes well under a second in the same situation, fifty times of fifty."""
    busy = Server(CHUNK)
    for number in range(50):
        proxy = server.create(str(busy.address), f"busy{number}.b", f"127.0.0.1:{block.ports[2]}")
        proxy.add_toxic(**HOLDING[number % len(HOLDING)])  # type: ignore[arg-type]
        leave_in_flight(proxy)
        start = time.monotonic()
        proxy.heal()
        assert time.monotonic() - start < 1.0
        assert proxy.toxics() == {}
        proxy.destroy()
    busy.close()


@pytest.mark.alone
def test_raising_the_rate_of_a_bandwidth_kills_the_server(expendable: Toxiproxy, block: PortBlock) -> None:
    """With a client that has gone in the middle of a reply: Toxiproxy slices what it holds by the new rate.

    It lets go of such a client at its second slice of 100 bytes, after 200 ms, and is not told of a new
    rate for it; at the third slice it takes that from what is left. Another client shows when it is time.
    """
    busy, numbers = Server(CHUNK), itertools.count()

    def is_dead() -> bool:
        proxy = expendable.create(str(busy.address), f"busy.{next(numbers)}")
        proxy.add_toxic(type="bandwidth", attributes={"rate": 1})
        with contextlib.suppress(ProxyError), connect(proxy) as going, connect(proxy) as staying:
            going.sendall(b"ping")
            going.recv(1)
            staying.sendall(b"ping")
            reset(going)
            staying.recv(1)
            proxy.update_toxic("bandwidth_downstream", attributes={"rate": 1_000_000_000})
            with contextlib.suppress(LabError):
                wait_for(lambda: not expendable.running(), what="Toxiproxy is dead", within_s=0.5)
        return not expendable.running()

    wait_for(is_dead, what="Toxiproxy is dead", within_s=20)
    busy.close()


def test_x2_a_misspelt_attribute_is_answered_with_200_and_does_nothing(server: Toxiproxy, proxy: Proxy) -> None:
    """The raw API accepts it and holds latency 0; impossible toxicities are accepted too."""
    body = {"name": "t", "type": "latency", "attributes": {"latecy": 1000}, "toxicity": 50}
    answer = requests.post(f"{server.transport.url}/proxies/{proxy.name}/toxics", json=body, timeout=2)
    assert answer.status_code == 200
    assert answer.json()["attributes"]["latency"] == 0
    assert answer.json()["toxicity"] == 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "latency", "attributes": {"latecy": 1000}},
        {"type": "latency", "attributes": {"latency": -1}},
        {"type": "latency", "attributes": {"latency": 1.5}},
        {"type": "latency", "attributes": {"latency": 1}, "toxicity": 50},
        {"type": "lag", "attributes": {}},
        {"type": "latency", "stream": "sideways", "attributes": {"latency": 1}},
    ],
)
def test_x2_the_lab_refuses_what_toxiproxy_would_misread(proxy: Proxy, wrong: dict[str, object]) -> None:
    """Nothing is sent, or what was sent is noticed to be refused."""
    with pytest.raises(ProxyError):
        proxy.add_toxic(**wrong)  # type: ignore[arg-type]
    assert proxy.toxics() == {}


def test_x4_reset_peer_resets_new_connections_and_only_closes_old_ones(proxy: Proxy) -> None:
    """An open connection sees the end of the stream, a new one a reset."""
    with connect(proxy) as old:
        assert ask(old) == b"pong"
        proxy.add_toxic(type="reset_peer", attributes={"timeout": 0})
        assert ask(old) == b""
    with connect(proxy) as new, pytest.raises(ConnectionResetError):
        for _ in range(20):
            ask(new)


def test_x4_an_idle_connection_is_not_reset_at_all(proxy: Proxy) -> None:
    """Nothing is to be read on it until it is used."""
    with connect(proxy) as idle:
        assert ask(idle) == b"pong"
        proxy.add_toxic(type="reset_peer", attributes={"timeout": 0})
        idle.settimeout(0.3)
        with pytest.raises(TimeoutError):
            idle.recv(1)


def test_x6_only_a_disabled_proxy_refuses(server: Toxiproxy, proxy: Proxy, block: PortBlock) -> None:
    """A dead upstream and a slow edge both connect; a disabled proxy does not."""
    dead = server.create("127.0.0.1:1", "dead.b", f"127.0.0.1:{block.ports[2]}")
    assert probe(Address.parse(dead.listen), "tcp").answer is Answer.ANSWERED
    proxy.add_toxic(type="latency", attributes={"latency": 1000})
    slow = probe(Address.parse(proxy.listen), "tcp")
    assert slow.answer is Answer.ANSWERED
    assert slow.took_ms < 500
    with proxy.down():
        assert probe(Address.parse(proxy.listen), "tcp").answer is Answer.REFUSED
    assert probe(Address.parse(proxy.listen), "tcp").answer is Answer.ANSWERED
