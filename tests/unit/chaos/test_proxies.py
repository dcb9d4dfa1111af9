"""The Toxiproxy client keeps toxiproxy-python's names, and cannot hang or be lied to."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
import toxiproxy

from chaos.errors import ProxyError, ProxyTimeoutError
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
        status, body = self.server.answer  # type: ignore[attr-defined]
        if body is None:
            self.server.release.wait(5)  # type: ignore[attr-defined]
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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
        (404, b'{"error":"proxy not found"}'),
        (200, json.dumps(STATE | {"enabled": True}).encode()),
    ],
)
def test_a_lying_server_raises_only_typed_errors(
    liar: http.server.ThreadingHTTPServer, answer: tuple[int, bytes]
) -> None:
    """5xx, garbage, truncated, and an answer that is not what was asked for."""
    liar.answer = answer  # type: ignore[attr-defined]
    server = Toxiproxy(f"http://127.0.0.1:{liar.server_port}")
    proxy = Proxy(server.transport, **STATE)
    with pytest.raises(ProxyError):
        proxy.disable()
    with pytest.raises(ProxyError):
        proxy.add_toxic(type="latency", attributes={"latency": 5})


def test_a_hanging_server_costs_no_more_than_the_deadline(liar: http.server.ThreadingHTTPServer) -> None:
    """The error says how long was waited."""
    liar.answer = (200, None)  # type: ignore[attr-defined]
    with pytest.raises(ProxyTimeoutError, match=r"no answer within 0\.2 s"):
        Toxiproxy(f"http://127.0.0.1:{liar.server_port}", within_s=0.2).proxies()
