"""A server whose answers a test decides, and a lab that is nothing but its address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chaos.clock import wait_for
from chaos.history import History, Recorder
from chaos.workload.driver import Driver

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}'
CLOSE, SILENCE = b"", None

Reply = Callable[[bytes], bytes | None]
"""Bytes to answer a request with, CLOSE for a reset connection, SILENCE for no answer."""


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An HTTP answer as bytes."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def serving(reply: Reply = lambda _: OK) -> Iterator[str]:
    """A server on a free port that asks *reply* what to say; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, reply), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, reply: Reply) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, reply), daemon=True).start()


def _serve(connection: socket.socket, reply: Reply) -> None:
    with connection, suppress(OSError):
        while request := connection.recv(65536):
            said = reply(request)
            if said == CLOSE:
                return
            if said is not SILENCE:
                connection.sendall(said)


def lab(url: str) -> Any:
    """As much of a lab as a workload needs, without services and edges."""
    return SimpleNamespace(
        url=url,
        config=SimpleNamespace(settings=SimpleNamespace(services={})),
        edges=lambda: (),
        toxiproxy=SimpleNamespace(transport=SimpleNamespace(url=url)),
    )


def drive(folder: Path, url: str, *workloads: Any, until: Callable[[], object]) -> History:
    """Drive *workloads* at *url* until that is true, and return the history."""
    with Recorder(folder, "T-1") as recorder:
        driver = Driver(lab(url), workloads, recorder)
        driver.start()
        try:
            wait_for(until, what="the workload has done enough", within_s=20)
        finally:
            driver.stop()
    return History.load(folder)


def lines(folder: Path) -> int:
    """How many lines the history has by now."""
    return (folder / "history.jsonl").read_bytes().count(b"\n")
