"""A hard wall around checkers: what is not decided in time, or in memory, is INCONCLUSIVE.

Checkers are pure functions, so the wall stands around them and not in them. A forked process judges
one after the other and sends each finding as soon as it is there; a checker that takes too long is
killed with that process, and another one judges those after it. So a history costs one fork, and
not one for each checker.

It is a plain fork: the runner's workers are daemons, which ``multiprocessing`` lets have no
children, and a fork shares the history where everything else would copy it.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from chaos.checkers.finding import Checker
from chaos.config import CHECK_MEMORY_MB, CHECK_WITHIN_S, Settings
from chaos.errors import LabError
from chaos.history import History
from chaos.processes.kernel import die_with_parent
from chaos.results.model import Finding, Verdict

_FIRST_INHERITED: Final = 3

Ask = Callable[[Checker], Finding]
"""Puts the history before a checker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wall:
    """What each checker may use up: ``check-within-s`` and ``check-memory-mb`` of ``[tool.chaos-lab]``.

    Attributes:
        within_s: seconds, unless ``with_budget`` says otherwise.
        memory_mb: megabytes, beside those of the history itself.
    """

    within_s: float = CHECK_WITHIN_S
    memory_mb: int = CHECK_MEMORY_MB

    @classmethod
    def of(cls, settings: Settings) -> Wall:
        """What *settings* say."""
        return cls(within_s=settings.check_within_s, memory_mb=settings.check_memory_mb)


@dataclass(frozen=True, kw_only=True, slots=True)
class WithBudget:
    """*checker*, but INCONCLUSIVE when it has no answer after *seconds*; signed with *checker*'s name."""

    checker: Checker
    seconds: float

    def __call__(self, history: History) -> Finding:
        """Judge *history*; raises LabError as ``judged`` does."""
        return judged([self], lambda checker: checker(history), Wall())[0]


def with_budget(checker: Checker, seconds: float) -> Checker:
    """*checker* behind a hard wall of *seconds*, whatever is allowed to the others."""
    return WithBudget(checker=checker, seconds=seconds)


def without_budget(checker: Checker) -> Checker:
    """*checker*, or the one inside it."""
    return without_budget(checker.checker) if isinstance(checker, WithBudget) else checker


def judged(checkers: Sequence[Checker], ask: Ask, wall: Wall) -> tuple[Finding, ...]:
    """The findings of *checkers*, each behind *wall* and signed with the name of its class.

    Raises:
        LabError: a checker's own, or one that says which checker failed, of what and where.
    """
    tasks = [_Task.of(checker, wall) for checker in checkers]
    findings: list[Finding] = []
    while len(findings) < len(tasks):
        findings += _until_one_is_killed(tasks[len(findings) :], ask, wall)
    return tuple(findings)


@dataclass(frozen=True, slots=True)
class _Task:
    """A checker out of its budgets, and the seconds it has."""

    checker: Checker
    within_s: float

    @classmethod
    def of(cls, checker: Checker, wall: Wall) -> _Task:
        return cls(without_budget(checker), checker.seconds if isinstance(checker, WithBudget) else wall.within_s)

    @property
    def name(self) -> str:
        return type(self.checker).__name__

    def answer(self, ask: Ask, wall: Wall) -> Finding | LabError:
        """What the checker says, or why it cannot."""
        try:
            return replace(ask(self.checker), by=self.name)
        except MemoryError:
            return self.undecided(f"it needs more than {wall.memory_mb} MB of memory")
        except LabError as error:
            return error
        except Exception as error:  # noqa: BLE001  (a checker may be anybody's code)
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
            return LabError(f"{self.checker!r} failed: {reason}")

    def undecided(self, why: str) -> Finding:
        """The finding where the checker has none."""
        says = f"undecided: {why}; a smaller history or a larger budget may decide it"
        return Finding(check=self.name, verdict=Verdict.INCONCLUSIVE, says=says, checked=0, by=self.name)


def _until_one_is_killed(tasks: Sequence[_Task], ask: Ask, wall: Wall) -> Iterator[Finding]:
    """The findings of one process: of all *tasks*, or of those up to the one that it died of."""
    with _judge(tasks, ask, wall) as answers:
        for task in tasks:
            if not answers.poll(task.within_s):
                yield task.undecided(f"no answer after {task.within_s:g} s")
                return
            try:
                answer = answers.recv()
            except EOFError:
                yield task.undecided("its process was killed, perhaps for want of memory")
                return
            if isinstance(answer, LabError):
                raise answer
            yield answer


@contextmanager
def _judge(tasks: Sequence[_Task], ask: Ask, wall: Wall) -> Iterator[Connection]:
    """A process that answers for *tasks* in turn; it is gone after the block."""
    receiver, sender = Pipe(duplex=False)
    parent = os.getpid()
    with warnings.catch_warnings():
        # From Python 3.12 on a fork with threads alive warns of locks that they may hold: the child
        # takes none but those that Python and glibc set free, and the wall ends it if it ever did.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _live(tasks, ask, wall, sender, parent)
    sender.close()
    try:
        yield receiver
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        receiver.close()


def _live(tasks: Sequence[_Task], ask: Ask, wall: Wall, sender: Connection, parent: int) -> None:  # pragma: no cover
    """The child's life: it shares nothing open with its parent, dies with it, and never returns."""
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is its parent's to hear
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.closerange(_FIRST_INHERITED, sender.fileno())
        os.closerange(sender.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        gc.freeze()  # or the collector writes to every page that is still shared
        allowed = _address_space() + (wall.memory_mb << 20)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
        for task in tasks:
            sender.send(_sendable(task.answer(ask, wall)))
    finally:
        os._exit(0)


def _address_space() -> int:
    """Bytes that this process has mapped."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def _sendable(answer: Finding | LabError) -> Finding | LabError:  # pragma: no cover
    """*answer*, or its words where an error cannot be made anew on the other side."""
    try:
        pickle.loads(pickle.dumps(answer))  # noqa: S301  (our own)
    except Exception as error:  # noqa: BLE001  (whatever keeps it from being sent)
        return LabError(f"{answer}" if isinstance(answer, LabError) else f"{answer!r} cannot be sent: {error}")
    return answer
