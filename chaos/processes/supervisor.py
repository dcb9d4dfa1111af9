"""The runner's end of the fork server: start, signal and end processes by handle."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from chaos.clock import wait_for
from chaos.errors import LabError, StackError
from chaos.processes import run_folder

ANSWER_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 3.0


class Supervisor:
    """A fork server of one's own, or a connection to somebody else's.

    Processes started through a connection end when it closes. Use as a context manager.
    """

    def __init__(
        self, path: Path, owner: subprocess.Popen[bytes] | None = None, *, within_s: float = ANSWER_WITHIN_S
    ) -> None:
        self.path = path
        self._owner = owner
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(within_s)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    @classmethod
    def start(cls, root: Path) -> Self:
        """Start a fork server whose processes import from the folder *root*."""
        folder = run_folder.create()
        path = folder / "supervisor.sock"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        process = subprocess.Popen(  # noqa: S603  (our own module)
            [sys.executable, "-m", "chaos.processes.forkserver", str(path)],
            stdin=subprocess.PIPE,
            cwd=root,
            env=environment,
            start_new_session=True,
        )
        wait_for(lambda: path.exists() or process.poll() is not None, what="the fork server listens", within_s=10)
        try:
            return cls(path, process)
        except OSError as error:
            msg = f"the fork server ended with {process.poll()} before it listened"
            raise StackError(msg) from error

    def preload(self, modules: Sequence[str]) -> None:
        """Import *modules* in the fork server; returns when that is done."""
        self._ask("preload", modules=list(modules))

    def spawn(  # noqa: PLR0913  (what a process is made of)
        self,
        name: str,
        *,
        argv: Sequence[str] = (),
        target: str = "",
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        unprivileged: bool = False,
        end_signal: signal.Signals = signal.SIGKILL,
        stale: Sequence[Path] = (),
    ) -> Process:
        """Start a program (*argv*) or a preloaded Python function (*target*, ``module:function``).

        Args:
            name: what the process is called in messages.
            argv: program and arguments, or empty.
            target: the function to call in a fork, or empty.
            env: its whole environment.
            cwd: its working folder.
            log: file that its standard output and error are appended to.
            unprivileged: hide that the lab runs as root (Postgres insists).
            end_signal: what ends it when the lab is gone.
            stale: files of an earlier run that must go before it starts.

        Raises:
            StackError: it could not be started.
        """
        answer = self._ask(
            "spawn",
            name=name,
            argv=list(argv) or None,
            target=target or None,
            env=dict(env),
            cwd=str(cwd),
            log=str(log),
            unprivileged=unprivileged,
            end_signal=int(end_signal),
            stale=[str(path) for path in stale],
        )
        return Process(supervisor=self, number=answer["number"], name=name, log=log, stop_signal=end_signal)

    def look(self, number: int) -> Look:
        """How the process of that *number* is now."""
        return Look(**self._ask("look", number=number))

    def send(self, number: int, signal_number: int) -> None:
        """Send a signal to the process of that *number*."""
        self._ask("signal", number=number, signal_number=signal_number)

    def kill(self, number: int) -> None:
        """Kill it with its family; returns when the kernel has forgotten them."""
        self._ask("kill", number=number)

    def pause(self, number: int) -> None:
        """Stop it with its family; returns when the kernel says that all stand still."""
        self._ask("pause", number=number)

    def resume(self, number: int) -> None:
        """Let it go on, with its family."""
        self._ask("resume", number=number)

    def again(self, number: int) -> int:
        """Start it again as it was, unless it runs; returns its process id.

        The fork server remembers how, so whoever knows the number can do it: no password is handed
        on. The process stays with the connection that started it first.
        """
        pid: int = self._ask("start", number=number)["pid"]
        return pid

    def close(self) -> None:
        """End every process of this connection, and the fork server if it is ours."""
        self._lines.close()
        self._socket.close()
        if self._owner and self._owner.stdin:
            self._owner.stdin.close()
            self._owner.wait(timeout=10)

    @property
    def folder(self) -> Path:
        """A folder for whatever the processes need on disk; it goes when the fork server ends."""
        return self.path.parent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, verb: str, **details: Any) -> dict[str, Any]:  # noqa: ANN401  (JSON)
        with self._lock:
            try:
                self._socket.sendall(json.dumps({"do": verb, **details}).encode() + b"\n")
                line = self._lines.readline()
            except OSError as error:
                msg = f"the fork server did not answer {verb!r}: {error}"
                raise StackError(msg) from error
        if not line:
            msg = f"the fork server is gone; it did not answer {verb!r}"
            raise StackError(msg)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise StackError(answer["error"])
        return answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What the fork server and the kernel say of a process.

    Attributes:
        pid: its process id.
        status: None while it runs, else its exit status (negative: the signal that ended it).
        state: the kernel's letter: R running, S sleeping, T stopped, X gone.
    """

    pid: int
    status: int | None
    state: str

    def __str__(self) -> str:
        return f"ended with {self.status}" if self.ended else "paused" if self.paused else "running"

    @property
    def ended(self) -> bool:
        """Whether it does not run."""
        return self.status is not None

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self.status is None and self.state == "T"


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process of the lab; after a restart it means the new one.

    Attributes:
        number: the fork server's, the same for life.
        name: what it is called, such as "widget-core".
        log: the file with what it printed.
        stop_signal: the signal that ends it in good order.
    """

    supervisor: Supervisor
    number: int
    name: str
    log: Path
    stop_signal: signal.Signals

    @property
    def pid(self) -> int:
        """The process id that it has now, or had last."""
        return self.look().pid

    def look(self) -> Look:
        """How it is now."""
        return self.supervisor.look(self.number)

    def status(self) -> int | None:
        """None while it runs, else its exit status (negative: the signal that ended it)."""
        return self.look().status

    def stop(self, number: signal.Signals | None = None, within_s: float = STOP_WITHIN_S) -> None:
        """End it with *number* (default: its own stop signal); after *within_s* with SIGKILL, family included."""
        self.supervisor.send(self.number, number or self.stop_signal)
        try:
            wait_for(lambda: self.status() is not None, what=f"{self.name} has ended", within_s=within_s)
        except LabError:
            self.supervisor.kill(self.number)

    def last_words(self, lines: int = 12) -> str:
        """The last *lines* of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
