"""The runner's end of its guard: starts it, tells it every undo, shows it signs of life."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

from chaos.clock import NS_PER_S, now_ns
from chaos.errors import LabError, disk_errors
from chaos.guard.channel import INHERITED, Channel
from chaos.guard.log import Runner

LEASE_S: Final = 10.0
"""Without a sign of life for so long, a runner counts as hung; a busy machine must not get there."""
RENEW_S: Final = 0.5
ANSWER_WITHIN_S: Final = 15.0
ENDS_WITHIN_S: Final = 15.0
ATTEMPTS: Final = 3

_JOURNAL: Final = Path(".chaos-lab") / "guard.log"
_JOURNAL_BYTES_MAX: Final = 1_000_000


class Guard:
    """A guard process of this runner; safe to use from several threads.

    It starts in the background and is waited for when the first undo is entered. When it dies, a
    new one is started and told everything.

    Args:
        root: the project, whose HALT file it heeds.
        lease_s: without a sign of life for so long, it heals everything.
    """

    def __init__(self, root: Path, lease_s: float = LEASE_S) -> None:
        self._root = root
        self._lease_s = lease_s
        self._lock = threading.RLock()
        self._labs: dict[str, dict[str, Any]] = {}
        self._owed: dict[tuple[str, int], dict[str, Any]] = {}
        self._acknowledged: set[tuple[str, int]] = set()
        self._taken: dict[tuple[str, int], str] = {}
        self._inherited = False
        self._ended = threading.Event()
        self._start()
        threading.Thread(target=self._renew, name="guard lease", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def watch(self, log: Path, details: Mapping[str, Any]) -> None:
        """Tell it about a lab, whose undo log is *log*, and what is needed to heal there."""
        message = {"do": "watch", "log": str(log), **details}
        with self._lock:
            self._labs[str(log)] = message
            self._send(message)

    def enter(self, log: Path, number: int, details: Mapping[str, Any]) -> None:
        """Return when the guard has acknowledged an undo; raises LabError when it does not."""
        key = (str(log), number)
        message = {"do": "enter", "log": str(log), "number": number, **details}
        deadline_ns = now_ns() + int(ANSWER_WITHIN_S * NS_PER_S)
        with self._lock:
            self._owed[key] = message
            self._send(message)
            while not self._is_acknowledged(key):
                if now_ns() > deadline_ns:
                    del self._owed[key]
                    self._give_up("so no fault is made")

    def strike(self, log: Path, number: int) -> None:
        """Tell it that the change has been taken back."""
        with self._lock:
            self._owed.pop((str(log), number), None)
            self._send({"do": "strike", "log": str(log), "number": number})

    def forget(self, log: Path) -> None:
        """Tell it that the lab is closed and nothing is owed."""
        with self._lock:
            if self._labs.pop(str(log), None):
                self._send({"do": "forget", "log": str(log)})

    def inherit(self, log: Path) -> None:
        """Let it go on without this process, until what is owed in that lab has been due.

        The log is renamed to be the guard's, whose process stands for the runner's from now on. One
        that dies before it has acknowledged that is replaced, and its successor is the heir. Raises
        LabError when none answers.
        """
        deadline_ns = now_ns() + int(ANSWER_WITHIN_S * NS_PER_S)
        with self._lock:
            heir, path = 0, log
            while not self._is_acknowledged((str(log), INHERITED)):
                if now_ns() > deadline_ns:
                    path.rename(log)
                    self._give_up("so this process has to heal itself")
                if heir != self.pid:
                    heir = self.pid
                    path = path.rename(_named_after(heir, log))
                    self._send({"do": "inherit", "log": str(log), "path": str(path)})
            self._inherited = True
            self._labs.pop(str(log))
            self._owed = {key: message for key, message in self._owed.items() if key[0] != str(log)}

    def taken(self, log: Path) -> dict[int, str]:
        """What the guard has healed in that lab by itself, and why, by number."""
        with self._lock:
            self._hear(0)
            return {number: why for (path, number), why in self._taken.items() if path == str(log)}

    def close(self) -> None:
        """Let it end, which it does when nothing is owed any more."""
        self._ended.set()
        with self._lock:
            self._channel.close()
        if self._inherited:
            self._process.returncode = 0  # it goes on; nobody waits for it
            return
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            if not self._owed:  # or else it may still heal, or the next command does
                self._process.kill()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        package = str(Path(__file__).parents[2])
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        }
        with theirs, _journal(self._root) as journal:
            self._process = subprocess.Popen(  # noqa: S603  (our own module)
                [sys.executable, "-P", "-m", "chaos.guard", str(theirs.fileno()), str(self._lease_s), str(self._root)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=journal,
                pass_fds=[theirs.fileno()],
                env=environment,
                start_new_session=True,
            )
        self._channel = Channel(ours)

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._channel.send(message)
        except OSError:
            self._replace()

    def _hear(self, within_s: float) -> None:
        try:
            messages = self._channel.receive(within_s)
        except EOFError:
            self._replace()
            return
        for message in messages:
            key = (message["log"], message["number"])
            if message["do"] == "acknowledge":
                self._acknowledged.add(key)
                if key in self._owed:
                    self._owed[key]["due_s"] = message["due_s"]  # another guard keeps to it
            else:
                self._taken[key] = message["why"]
                self._owed.pop(key, None)

    def _is_acknowledged(self, key: tuple[str, int]) -> bool:
        """Whether the guard has done so, at once or within a moment."""
        if key not in self._acknowledged:
            self._hear(RENEW_S)
        if key not in self._acknowledged:
            return False
        self._acknowledged.discard(key)
        return True

    def _give_up(self, consequence: str) -> NoReturn:
        """Kill a guard that does not answer, so that it is replaced, and raise LabError."""
        msg = f"the guard (pid {self.pid}) did not answer within {ANSWER_WITHIN_S:g} s, {consequence}"
        self._process.kill()
        raise LabError(msg)

    def _replace(self) -> None:
        """Start another guard in the place of one that died or does not read, and tell it all that is known."""
        for _ in range(ATTEMPTS):
            self._channel.close()
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDS_WITHIN_S)
            self._start()
            with suppress(OSError):
                for message in [*self._labs.values(), *self._owed.values()]:
                    self._channel.send(message)
                return
        msg = f"no guard stays alive, so no fault may be made; its last words are in {self._root / _JOURNAL}"
        raise LabError(msg)

    def _renew(self) -> None:
        """The lease's thread: a frozen process has none that runs."""
        while not self._ended.wait(RENEW_S):
            with self._lock, suppress(LabError):
                if not self._ended.is_set():
                    self._send({"do": "live"})
                    self._hear(0)


def _named_after(heir: int, log: Path) -> Path:
    """The name of *log* as that of the process *heir*."""
    runner = Runner.of(heir)
    return log.with_name(f"{runner.pid}-{runner.started}-{log.stem.rpartition('-')[2]}.jsonl")


def of_this_process(root: Path) -> Guard:
    """The one guard that this process has for the project *root*, started when first asked for."""
    return _of(os.getpid(), root.resolve())


@cache
def _of(_pid: int, root: Path) -> Guard:
    guard = Guard(root)
    atexit.register(guard.close)
    return guard


def _journal(root: Path) -> Any:  # noqa: ANN401  (an open file)
    """Where a guard says what it did on its own; nobody may be there to read it at the time."""
    path = root / _JOURNAL
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        too_long = path.exists() and path.stat().st_size > _JOURNAL_BYTES_MAX
        return path.open("w" if too_long else "a", encoding="utf-8")
