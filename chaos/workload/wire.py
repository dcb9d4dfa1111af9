"""HTTP for load: aiohttp's connection pool and parser, and each request on the wire exactly once.

``ClientSession`` sends an idempotent request again by itself when a kept connection breaks, which no
history would know of, and spends two thirds of its time on cookies, proxies and redirects that a
load has no use for. This goes one floor down: connections and their errors are those of
``TCPConnector``, answers are read by ``ResponseHandler``, and only the request's head is written here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from yarl import URL

from chaos.workload.answers import Answer
from chaos.workload.deadlines import Deadlines

KEEP_S: Final = 4.0
"""Idle connections go before the servers close them (uvicorn: 5 s), so that none closes under a request."""

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None)
_PLAIN: Final = re.compile(r"/[A-Za-z0-9/._~!$&'()*+,;=:@?%-]*")
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class Wire:
    """Connections to servers, kept and used again. Use as an asynchronous context manager.

    Args:
        origin: where paths without a host go, such as ``http://127.0.0.1:8080``.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._doors: dict[str, tuple[ClientRequest, str]] = {}

    async def __aenter__(self) -> Self:
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_S)
        self._deadlines = Deadlines()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connector.close()

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: object = None, *, within_s: float
    ) -> Answer:
        """Send one request and return its answer, once all of it is there.

        Args:
            path: below the origin, or a whole URL.
            body: sent as JSON, None for no body.
            within_s: seconds for all of it.

        Raises:
            aiohttp.ClientConnectorError: no connection, so nothing was sent.
            TimeoutError: not within *within_s*; the request may have arrived.
            aiohttp.ClientError, OSError: it broke; the request may have arrived.
            ValueError: a path or header that would not be one line.
        """
        door, target = self._door(path)
        template, host = self._doors[door]
        content = _head(method, target, host, headers, body)
        with self._deadlines.within(within_s):
            connection = await self._connector.connect(template, [], _NO_TIMEOUT)
            try:
                answer = await _exchange(connection, content, has_body=method != "HEAD")
            except BaseException:
                connection.close()
                raise
        connection.release()
        return answer

    def _door(self, path: str) -> tuple[str, str]:
        """The server that *path* leads to, and what to ask it for."""
        if _PLAIN.fullmatch(path):
            door, target = self._origin, path
        else:
            url = URL(path if "://" in path else self._origin + path)
            door, target = str(url.origin()), url.raw_path_qs
        if door not in self._doors:
            url = URL(door)
            request = ClientRequest("GET", url, loop=asyncio.get_running_loop())
            self._doors[door] = request, request.headers["Host"]
        return door, target


async def _exchange(connection: Connection, request: bytes, *, has_body: bool) -> Answer:
    """Write *request* and read one answer; what comes before it (1xx) is not it."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(skip_payload=not has_body, read_until_eof=True, auto_decompress=False)
    transport.write(request)
    message, payload = await protocol.read()
    while 100 <= message.code < 200:  # noqa: PLR2004  (informational answers)
        message, payload = await protocol.read()
    # Most answers are there at once, and then nothing needs to wait.
    content = payload.read_nowait() if payload.is_eof() else await payload.read()
    return Answer(status=message.code, headers=message.headers, body=content)


def _head(method: str, target: str, host: str, headers: Mapping[str, str], body: object) -> bytes:
    """The request as bytes."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    content = b""
    if body is not None:
        content = msgspec.json.encode(body)
        if not any(name.lower() == "content-type" for name in headers):
            lines.append("Content-Type: application/json")
    if body is not None or method in _WITH_BODY:
        lines.append(f"Content-Length: {len(content)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        msg = f"a line break in the path or a header of {method} {target!r}"
        raise ValueError(msg)
    return f"{head}\r\n\r\n".encode() + content
