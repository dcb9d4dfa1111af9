"""The supervisor's program: forks the lab's processes, watches them, and ends them with the lab.

It imports the services once (``preload``) and forks each from that warm copy, so that a restart
costs no Python import. It stays single-threaded, because only that may fork safely.

Clients speak JSON lines over a Unix socket; a process belongs to the connection that started it,
and its number to whoever follows it after a restart. When a connection closes, its processes are
ended; when standard input closes, the runner is gone and everything ends. If this program itself is
killed, the kernel ends its children.

Run as ``python -m chaos.processes.forkserver SOCKET``; see ``chaos.processes.supervisor`` for the
other end.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import json
import os
import selectors
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from chaos.processes import family
from chaos.processes.kernel import adopt_orphans
from chaos.processes.nursery import Child, Nursery
from chaos.processes.start import start_function, start_program

LINE_BYTES_MAX: Final = 1_000_000


class Client:
    """One connection and the processes that belong to it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.children: dict[int, Child] = {}
        self._buffer = b""

    def requests(self) -> list[bytes] | None:
        """Whole lines that have arrived, or None when the connection is closed or misused."""
        try:
            data = self.connection.recv(65536)
        except OSError:
            return None
        self._buffer += data
        if not data or len(self._buffer) > LINE_BYTES_MAX:
            return None
        *lines, self._buffer = self._buffer.split(b"\n")
        return lines

    def answer(self, value: dict[str, Any]) -> None:
        """Send *value*; a client that is gone is noticed at the next read."""
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(value).encode() + b"\n")


class ForkServer:
    """The loop: accept, fork, reap, end."""

    def __init__(self, path: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, Client] = {}
        self._nursery = Nursery()
        self._numbers = itertools.count(1)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{path}.new")
        self._listener.listen(64)
        os.rename(f"{path}.new", path)  # noqa: PTH104  (whoever sees the name can connect)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_write.setblocking(False)  # noqa: FBT003  (the socket module's signature)
        self._ending = False

    def run(self) -> None:
        """Serve until standard input closes or SIGTERM arrives, then end every process."""
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._end)
        for source, react in (
            (self._listener, self._accept),
            (self._wake_read, self._reap),
            (sys.stdin.fileno(), self._runner_gone),
        ):
            self._selector.register(source, selectors.EVENT_READ, react)
        while not self._ending:
            for key, _ in self._selector.select():
                key.data(key.fileobj)
        self._nursery.end([child for client in self._clients.values() for child in client.children.values()])

    def _end(self, *_: object) -> None:
        self._ending = True

    def _runner_gone(self, descriptor: int) -> None:
        if not os.read(descriptor, 1024):
            self._ending = True

    def _accept(self, _: object) -> None:
        connection, _address = self._listener.accept()
        self._clients[connection] = Client(connection)
        self._selector.register(connection, selectors.EVENT_READ, self._serve)

    def _reap(self, _: object) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_read.recv(4096)
        self._nursery.reap()

    def _serve(self, connection: socket.socket) -> None:
        client = self._clients[connection]
        requests = client.requests()
        if requests is None:
            self._selector.unregister(connection)
            self._nursery.end(list(client.children.values()))
            del self._clients[connection]
            connection.close()
            return
        for request in requests:
            client.answer(self._perform(client, request))

    def _perform(self, client: Client, line: bytes) -> dict[str, Any]:
        """Do what *line* asks for; whatever is wrong with it, everybody else's processes live on."""
        verbs: dict[str, Callable[..., dict[str, Any]]] = {
            "preload": preload,
            "spawn": self._spawn,
            "start": self._start,
            "look": self._look,
            "signal": self._signal,
            "kill": self._kill,
            "pause": self._pause,
            "resume": self._resume,
        }
        verb = "request"
        try:
            request = json.loads(line)
            verb = request.pop("do")
            return verbs[verb](client, **request)
        except Exception as error:  # noqa: BLE001  (whatever failed goes back to who asked)
            return {"error": f"{verb}: {type(error).__name__}: {error}"}

    def _spawn(  # noqa: PLR0913  (what a process is made of)
        self,
        client: Client,
        *,
        name: str,
        argv: list[str] | None = None,
        target: str | None = None,
        env: dict[str, str],
        cwd: str,
        log: str,
        unprivileged: bool = False,
        end_signal: int = signal.SIGKILL,
        stale: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Start a program (*argv*) or fork a preloaded Python function (*target*)."""

        def begin() -> int:
            for path in stale:
                Path(path).unlink(missing_ok=True)
            if argv:
                return start_program(argv, env, cwd, log, unprivileged=unprivileged, end_signal=end_signal)
            return start_function(str(target), name, env, cwd, log)

        child = Child(next(self._numbers), begin, end_signal)
        self._nursery.begin(child)
        client.children[child.number] = child
        return {"pid": child.pid, "number": child.number}

    def _start(self, _client: Client, *, number: int) -> dict[str, Any]:
        """Start it again as it was started first, unless it runs; it stays its first client's."""
        child = self._child(number)
        if child.status is not None:
            self._nursery.begin(child)
        return {"pid": child.pid}

    def _look(self, _client: Client, *, number: int) -> dict[str, Any]:
        """Its process id, its state in the kernel's letter, and its exit status once it has ended."""
        child = self._child(number)
        return {"pid": child.pid, "status": child.status, "state": family.state(child.pid)}

    def _signal(self, _client: Client, *, number: int, signal_number: int) -> dict[str, Any]:
        self._child(number).send(signal_number)
        return {}

    def _kill(self, _client: Client, *, number: int) -> dict[str, Any]:
        self._nursery.kill(self._child(number))
        return {}

    def _pause(self, _client: Client, *, number: int) -> dict[str, Any]:
        child = self._child(number)
        return {"family": family.hold(child.pid) if child.status is None else []}

    def _resume(self, _client: Client, *, number: int) -> dict[str, Any]:
        child = self._child(number)
        if child.status is None:
            family.release(child.pid)
        return {}

    def _child(self, number: int) -> Child:
        """The process of that number, whichever client started it; reaped if it has ended."""
        self._nursery.reap()
        for client in self._clients.values():
            if number in client.children:
                return client.children[number]
        msg = f"no process has the number {number}"
        raise LookupError(msg)


def preload(_client: Client, *, modules: list[str]) -> dict[str, Any]:
    """Import *modules* once, so that every fork has them."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    return {}


def main() -> None:
    """Serve on the socket that the command line names; its folder goes at the end."""
    adopt_orphans()
    path = Path(sys.argv[1])
    try:
        ForkServer(str(path)).run()
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
