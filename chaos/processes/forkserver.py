"""The supervisor's program: forks the lab's processes, watches them, and ends them with the lab.

It imports the services once (``preload``) and forks each from that warm copy, so that a restart
costs no Python import. It stays single-threaded, because only that may fork safely.

Clients speak JSON lines over a Unix socket; a process belongs to the connection that started it.
When a connection closes, its processes are ended; when standard input closes, the runner is gone
and everything ends. If this program itself is killed, the kernel ends its children.

Run as ``python -m chaos.processes.forkserver SOCKET``; see ``chaos.processes.supervisor`` for the
other end.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

from chaos.processes.kernel import adopt_orphans, become_unprivileged, die_with_parent

END_WITHIN_S: Final = 1.0
LINE_BYTES_MAX: Final = 1_000_000


class Child:
    """One process: its id, how to end it, and its exit status once it has ended."""

    def __init__(self, pid: int, end_signal: int) -> None:
        self.pid = pid
        self.end_signal = end_signal
        self.status: int | None = None

    def send(self, number: int) -> None:
        """Send signal *number*, unless the process has ended (its id may be another's by now)."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Client:
    """One connection and the processes that belong to it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.children: dict[int, Child] = {}
        self._buffer = b""

    def requests(self) -> Iterator[dict[str, Any]] | None:
        """Whole requests that have arrived, or None when the connection is closed or misused."""
        try:
            data = self.connection.recv(65536)
        except OSError:
            return None
        self._buffer += data
        if not data or len(self._buffer) > LINE_BYTES_MAX:
            return None
        *lines, self._buffer = self._buffer.split(b"\n")
        return map(json.loads, lines)

    def answer(self, value: dict[str, Any]) -> None:
        """Send *value*; a client that is gone is noticed at the next read."""
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(value).encode() + b"\n")


class ForkServer:
    """The loop: accept, fork, reap, end."""

    def __init__(self, path: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, Client] = {}
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
        end([child for client in self._clients.values() for child in client.children.values()])

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
        children = {p: c for client in self._clients.values() for p, c in client.children.items()}
        reap(children)

    def _serve(self, connection: socket.socket) -> None:
        client = self._clients[connection]
        requests = client.requests()
        if requests is None:
            self._selector.unregister(connection)
            end(list(client.children.values()))
            del self._clients[connection]
            connection.close()
            return
        for request in requests:
            client.answer(self._perform(client, request))

    def _perform(self, client: Client, request: dict[str, Any]) -> dict[str, Any]:
        verbs: dict[str, Callable[..., dict[str, Any]]] = {
            "preload": preload,
            "spawn": self._spawn,
            "signal": send_signal,
            "poll": poll,
        }
        verb = request.pop("do")
        try:
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
    ) -> dict[str, Any]:
        """Start a program (*argv*) or fork a preloaded Python function (*target*)."""
        if argv:
            pid = start_program(argv, env, cwd, log, unprivileged=unprivileged, end_signal=end_signal)
        else:
            pid = start_function(str(target), name, env, cwd, log)
        client.children[pid] = Child(pid, end_signal)
        return {"pid": pid}


def preload(_client: Client, *, modules: list[str]) -> dict[str, Any]:
    """Import *modules* once, so that every fork has them."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    return {}


def send_signal(client: Client, *, pid: int, number: int, tree: bool = False) -> dict[str, Any]:
    """Send a signal to one of the client's processes, with all its descendants when *tree*."""
    child = client.children[pid]
    family = [*descendants(pid)] if tree and child.status is None else []
    child.send(number)  # the parent first, or it would see its children go
    for other in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(other, number)
    return {}


def poll(client: Client) -> dict[str, Any]:
    """Exit status of each of the client's processes: None while it runs, negative for a signal."""
    reap(client.children)
    return {"status": {str(pid): child.status for pid, child in client.children.items()}}


def reap(children: dict[int, Child]) -> None:
    """Collect whoever has ended, adopted grandchildren too."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if child := children.get(found[0]):
                child.status = os.waitstatus_to_exitcode(found[1])


def end(children: list[Child]) -> None:
    """End *children* in their own way, and after END_WITHIN_S with SIGKILL, families included."""
    by_pid = {child.pid: child for child in children}
    for child in children:
        child.send(signal.SIGCONT)
        child.send(child.end_signal)
    deadline = time.monotonic() + END_WITHIN_S
    while any(child.status is None for child in children) and time.monotonic() < deadline:
        reap(by_pid)
        time.sleep(0.002)
    for child in [child for child in children if child.status is None]:
        for pid in [child.pid, *descendants(child.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            child.status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])


def descendants(pid: int) -> Iterable[int]:
    """Process ids of the children of *pid*, and theirs, from ``/proc``."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text(encoding="ascii").split()):
                yield child
                yield from descendants(child)


def start_program(
    argv: list[str], env: dict[str, str], cwd: str, log: str, *, unprivileged: bool, end_signal: int
) -> int:
    """Start *argv* in its own session; the kernel sends it *end_signal* if this process dies."""
    parent = os.getpid()

    def prepare() -> None:
        if unprivileged:
            become_unprivileged()
        die_with_parent(parent, signal.Signals(end_signal))

    with Path(log).open("ab") as output, Path(os.devnull).open("rb") as nothing:
        process = Popen(  # noqa: S603  (argv comes from the lab's own stack)
            argv,
            env=env,
            cwd=cwd,
            stdin=nothing,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509  (this process has one thread)
        )
    process.returncode = 0  # reaped by reap(), not by Popen
    return process.pid


def start_function(target: str, name: str, env: dict[str, str], cwd: str, log: str) -> int:
    """Fork, and call the function ``module:name`` in the child."""
    parent = os.getpid()
    if pid := os.fork():
        return pid
    status = 1
    try:
        die_with_parent(parent)
        _become(name, env, cwd, log)
        module, _, function = target.partition(":")
        getattr(importlib.import_module(module), function)()
        status = 0
    except SystemExit as leave:
        status = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        if isinstance(leave.code, str):
            sys.stderr.write(f"{leave.code}\n")
    except BaseException:  # noqa: BLE001  (the child's last words go to its log)
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _become(name: str, env: dict[str, str], cwd: str, log: str) -> None:
    """Turn this fork into a process of its own: signals, descriptors, folder, environment."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, standard)
    for descriptor in [int(entry) for entry in os.listdir("/proc/self/fd")]:  # noqa: PTH208  (names are enough)
        if descriptor > 2:  # noqa: PLR2004  (the standard three stay)
            with contextlib.suppress(OSError):
                os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [name]
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name[:15], encoding="ascii")


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
