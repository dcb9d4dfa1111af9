"""A server that answers everything with the same eleven bytes: ``python server.py``, prints its port."""

from __future__ import annotations

import asyncio

import uvloop

REPLY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


class Trivial(asyncio.Protocol):
    """Counts the ends of heads; requests have no bodies."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request."""
        self._transport.write(REPLY * data.count(b"\r\n\r\n"))  # type: ignore[attr-defined]


async def serve() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Trivial, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  (whoever started it reads this)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
