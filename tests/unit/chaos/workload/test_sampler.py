"""Edges are seen as the kernel and the proxy hold them, beside the load."""

import socket
from collections import Counter
from types import SimpleNamespace

import pytest

from chaos.config import Address
from chaos.history import Sample
from chaos.probes import _asked_kernel, _read_table, connections
from chaos.proxies import Toxiproxy
from chaos.workload.sampler import Sampler
from chaos.workload.wire import Wire
from tests.support.loads import serving


def test_connections_are_counted_at_their_dialling_end() -> None:
    """Three dialled, three counted, whichever way the kernel is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
        dialled = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        remote = (socket.inet_aton(address.host), address.port)
        assert connections([address]) == {address: 3}
        assert all(Counter(c[:2] for c in found())[remote] == 3 for found in (_asked_kernel, _read_table))
        for connection in dialled:
            connection.close()


async def look(url: str) -> list[Sample]:
    """What one look at the proxies of *url* wrote."""
    taken: list[Sample] = []
    lab = SimpleNamespace(toxiproxy=SimpleNamespace(transport=SimpleNamespace(url=url)))
    async with Wire(url) as wire:
        await Sampler(lab, SimpleNamespace(sample=taken.append), wire, [])._proxies()
    return taken


@pytest.mark.anyio
async def test_an_edge_is_sampled_as_the_proxy_holds_it(server: Toxiproxy) -> None:
    """Whether it listens, and every attribute of its toxics."""
    server.create("127.0.0.1:1", "a.b").add_toxic(type="latency", attributes={"latency": 300, "jitter": 5})
    server.create("127.0.0.1:1", "a.c", enabled=False)
    (sample,) = await look(server.transport.url)
    toxic = 'edge_toxic{edge="a.b",toxic="latency_downstream",attribute='
    assert sample.service == "edges"
    assert sample.values == {
        'edge_enabled{edge="a.b"}': 1,
        'edge_toxics{edge="a.b"}': 1,
        f'{toxic}"toxicity"}}': 1,
        f'{toxic}"latency"}}': 300,
        f'{toxic}"jitter"}}': 5,
        'edge_enabled{edge="a.c"}': 0,
        'edge_toxics{edge="a.c"}': 0,
    }


@pytest.mark.anyio
async def test_what_is_not_toxiproxy_leaves_a_gap() -> None:
    """Another server's answer is no sample, and no error of the load."""
    with serving() as url:
        assert await look(url) == []


@pytest.fixture
def anyio_backend() -> str:
    """The lab's own kind of event loop."""
    return "asyncio"
