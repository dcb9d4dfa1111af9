"""What the real Toxiproxy does, so that a version that behaves otherwise is noticed.

Numbers in the names are those of the measured traps; `chaos/proxies.py` is built on them.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from chaos.config import Address
from chaos.errors import ProxyError, ProxyTimeoutError
from chaos.probes import Answer, probe
from chaos.proxies import Proxy, Toxiproxy
from chaos.stacks.ports import PortBlock

CHUNK = b"x" * 200_000


class Server:
    """A TCP server on loopback that answers every message with *reply*."""

    def __init__(self, reply: bytes) -> None:
        """Listen; serve each connection on a thread of its own."""
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while connection.recv(4096):
                connection.sendall(self._reply)

    def close(self) -> None:
        """Stop accepting."""
        self._listener.close()


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


def connect(proxy: Proxy) -> socket.socket:
    """A connection through *proxy*."""
    address = Address.parse(proxy.listen)
    return socket.create_connection((address.host, address.port), timeout=2)


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


def test_x1_patching_it_to_nothing_first_does_not(server: Toxiproxy, block: PortBlock) -> None:
    """The lab's own removal takes well under a second in the same situation, ten times of ten."""
    busy = Server(CHUNK)
    for number in range(10):
        proxy = server.create(str(busy.address), f"busy{number}.b", f"127.0.0.1:{block.ports[2]}")
        proxy.add_toxic(type="latency", attributes={"latency": 3000})
        leave_in_flight(proxy)
        start = time.monotonic()
        assert proxy.destroy_toxic("latency_downstream")
        assert time.monotonic() - start < 1.0
        assert proxy.toxics() == {}
        proxy.destroy()
    busy.close()


def leave_in_flight(proxy: Proxy) -> None:
    """Ask for 200 kB and go away while they are held back."""
    with connect(proxy) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b"ping")
        with contextlib.suppress(TimeoutError):
            connection.settimeout(0.1)
            connection.recv(1)


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
