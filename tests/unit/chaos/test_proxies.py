"""The Toxiproxy client keeps toxiproxy-python's names, and cannot hang or be lied to."""

import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import toxiproxy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.errors import LabError, ProxyError, ProxyTimeoutError
from chaos.proxies import Proxy, Toxiproxy
from chaos.stacks.ports import PortBlock


@pytest.fixture
def proxy(server: Toxiproxy, block: PortBlock) -> Proxy:
    """A proxy on the real server."""
    return server.create("127.0.0.1:1", "a.b", f"127.0.0.1:{block.ports[1]}")


def test_who_knows_toxiproxy_python_feels_at_home(server: Toxiproxy, proxy: Proxy) -> None:
    """The classes are its subclasses and the names are its names."""
    assert isinstance(server, toxiproxy.Toxiproxy)
    assert isinstance(proxy, toxiproxy.Proxy)
    assert server.get_proxy("a.b") is not None
    assert server.get_proxy("nobody") is None
    assert server.version() == "2.12.0"
    toxic = proxy.add_toxic(type="latency", attributes={"latency": 5, "jitter": 1})
    assert repr(toxic) == "latency(latency=5, jitter=1) downstream toxicity 1"
    assert proxy.get_toxic("latency_downstream") is not None
    assert proxy.update_toxic("latency_downstream", attributes={"latency": 7}).attributes["latency"] == 7
    assert proxy.destroy_toxic("latency_downstream")
    assert not proxy.destroy_toxic("latency_downstream")


def test_down_enables_again_whatever_happens(server: Toxiproxy, proxy: Proxy) -> None:
    """Also when the block raises."""
    with pytest.raises(RuntimeError), proxy.down():
        assert not server.proxies()["a.b"].enabled
        raise RuntimeError
    assert server.proxies()["a.b"].enabled


def test_reset_heals_everything(server: Toxiproxy, proxy: Proxy) -> None:
    """Toxics are gone and the proxy listens."""
    proxy.add_toxic(type="bandwidth", attributes={"rate": 1})
    proxy.disable()
    server.reset()
    assert server.proxies()["a.b"].enabled
    assert proxy.toxics() == {}


def test_populate_is_idempotent(server: Toxiproxy, proxy: Proxy) -> None:
    """The same proxy is kept with its toxics, another address replaces it."""
    proxy.add_toxic(type="latency", attributes={"latency": 5})
    same = {"name": "a.b", "listen": proxy.listen, "upstream": proxy.upstream}
    assert server.populate([same])[0].toxics()
    assert not server.populate([same | {"upstream": "127.0.0.1:2"}])[0].toxics()


def test_an_unreachable_server_is_a_typed_error(block: PortBlock) -> None:
    """It names the address; ``running`` just says no."""
    nobody = Toxiproxy(f"http://127.0.0.1:{block.ports[9]}")
    assert not nobody.running()
    with pytest.raises(ProxyError, match=str(block.ports[9])):
        nobody.proxies()


class Liar(http.server.BaseHTTPRequestHandler):
    """Answers everything as the test says."""

    def _answer(self) -> None:
        status, body, *missing = self.server.answer  # type: ignore[attr-defined]
        if body is None:
            self.server.release.wait(5)  # type: ignore[attr-defined]
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + sum(missing)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def liar() -> Iterator[http.server.ThreadingHTTPServer]:
    """A server that only pretends to be Toxiproxy."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    server.release = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.release.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


STATE = {"name": "a.b", "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": True}


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"oops"),
        (503, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"null"),
        (200, b"{}"),
        (200, b'{"enabled":'),
        (200, b"9" * 5000),
        (200, b"[" * 100_000),
        (200, json.dumps(STATE).encode(), 1),
        (404, b'{"error":"proxy not found"}'),
        (200, json.dumps(STATE | {"enabled": True}).encode()),
    ],
)
def test_a_lying_server_raises_only_typed_errors(
    liar: http.server.ThreadingHTTPServer, answer: tuple[int, bytes] | tuple[int, bytes, int]
) -> None:
    """5xx, garbage, truncated, and an answer that is not what was asked for."""
    liar.answer = answer  # type: ignore[attr-defined]
    server = Toxiproxy(f"http://127.0.0.1:{liar.server_port}")
    proxy = Proxy(server.transport, **STATE)
    with pytest.raises(ProxyError):
        proxy.disable()
    with pytest.raises(ProxyError):
        proxy.add_toxic(type="latency", attributes={"latency": 5})


def use(server: Toxiproxy) -> None:
    """Everything that the lab asks of Toxiproxy; LabError is the only way to fail."""
    proxy = Proxy(server.transport, **STATE)
    for call in (
        server.proxies,
        server.version,
        server.reset,
        lambda: server.get_proxy("a.b"),
        lambda: server.create("127.0.0.1:2", "a.b"),
        lambda: server.populate([STATE]),
        proxy.toxics,
        proxy.disable,
        proxy.enable,
        proxy.destroy,
        proxy.heal,
        lambda: proxy.get_toxic("t"),
        lambda: proxy.add_toxic(type="latency", name="t", attributes={"latency": 5}),
        lambda: proxy.update_toxic("t", attributes={"latency": 5}),
        lambda: proxy.destroy_toxic("t"),
    ):
        with contextlib.suppress(LabError):
            call()


words = st.sampled_from([*STATE, "toxics", "type", "stream", "toxicity", "attributes", "latency", "error", "version"])
plausible = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(["a.b", "t", "latency", "downstream", ""])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=6),
    max_leaves=10,
)
bodies = st.one_of(
    st.binary(max_size=40),
    plausible.map(lambda value: json.dumps(value).encode()),
    plausible.map(lambda value: json.dumps(value).encode()[:-1]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.sampled_from([200, 200, 201, 204, 302, 400, 404, 409, 500, 503]), body=bodies)
def test_whatever_a_server_answers_only_typed_errors_come_out(
    liar: http.server.ThreadingHTTPServer, status: int, body: bytes
) -> None:
    """Fuzzed status and body, garbage, truncated and plausible."""
    liar.answer = (status, b"" if status == 204 else body)  # type: ignore[attr-defined]
    server = Toxiproxy(f"http://127.0.0.1:{liar.server_port}")
    use(server)
    server.close()


def drip(listener: socket.socket, stop: threading.Event) -> None:
    """Answer one byte at a time, for ever."""
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not stop.wait(0.02):
            connection.sendall(b"x")


def test_a_server_that_answers_drop_by_drop_costs_no_more_than_the_deadline() -> None:
    """The budget is for the whole answer, not for each byte of it."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=[listener, stop])
        thread.start()
        start = time.monotonic()
        with pytest.raises(ProxyTimeoutError, match=r"no answer within 0\.3 s"):
            Toxiproxy(f"http://127.0.0.1:{listener.getsockname()[1]}", within_s=0.3).proxies()
        assert time.monotonic() - start < 2
        stop.set()
        thread.join(timeout=5)


def test_a_configured_web_proxy_is_ignored(server: Toxiproxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is for the Internet, not for a server on this machine."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert Toxiproxy(server.url).version() == "2.12.0"


def test_a_proxy_that_resists_healing_is_made_anew(server: Toxiproxy, proxy: Proxy) -> None:
    """With the addresses that it had, listening and without toxics."""

    class Resisting(Proxy):
        def destroy_toxic(self, toxic_name: str) -> bool:
            msg = f"{toxic_name} stays"
            raise ProxyTimeoutError(msg)

    proxy.add_toxic(type="latency", attributes={"latency": 5})
    Resisting(server.transport, **{key: getattr(proxy, key) for key in STATE}).heal()
    anew = server.proxies()["a.b"]
    assert (anew.listen, anew.upstream, anew.enabled, anew.toxics()) == (proxy.listen, proxy.upstream, True, {})


def test_a_hanging_server_costs_no_more_than_the_deadline(liar: http.server.ThreadingHTTPServer) -> None:
    """The error says how long was waited."""
    liar.answer = (200, None)  # type: ignore[attr-defined]
    with pytest.raises(ProxyTimeoutError, match=r"no answer within 0\.2 s"):
        Toxiproxy(f"http://127.0.0.1:{liar.server_port}", within_s=0.2).proxies()
