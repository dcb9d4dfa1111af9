"""A checker that does not decide in time or memory is INCONCLUSIVE, wherever it is asked, and the others are judged."""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import psutil
import pytest

from chaos.checkers.finding import Checker
from chaos.clock import wait_for
from chaos.errors import FaultError, HistoryError, LabError
from chaos.history import History
from chaos.results.model import Finding, Verdict
from chaos.wall import Wall, judged, with_budget

HELD, INCONCLUSIVE = Verdict.HELD, Verdict.INCONCLUSIVE
WRONG = "history.jsonl line 7: is wrong"
SOON = Wall(within_s=0.2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calls:
    """A checker that does what it is given."""

    what: Callable[[], object] = bool

    def __call__(self, history: History) -> Finding:
        """Do it, and hold."""
        assert not history.operations
        return Finding(check="calls", verdict=HELD, says=f"{self.what()}", checked=1)


class Sleeps(Calls):
    """Another class, so that its findings are told from the others'."""


def for_ever() -> None:
    while True:
        pass


def in_c_for_ever() -> None:
    """Where no signal handler of Python runs."""
    ctypes.PyDLL(None).pause()
    for_ever()


def raises(error: Exception) -> Checker:
    def it() -> None:
        raise error

    return Calls(what=it)


def asked(*checkers: Checker, wall: Wall = SOON) -> tuple[Finding, ...]:
    """Their findings on an empty history."""
    return judged(checkers, lambda checker: checker(History()), wall)


@pytest.mark.parametrize("endless", [for_ever, in_c_for_ever])
def test_one_that_never_ends_is_killed_and_the_others_are_judged(endless: Callable[[], None]) -> None:
    """Before and after it, each finding signed by its checker, and no process is left."""
    before = psutil.Process().children()
    findings = asked(Calls(), Sleeps(what=endless), Calls())
    assert [(f.by, f.verdict) for f in findings] == [("Calls", HELD), ("Sleeps", INCONCLUSIVE), ("Calls", HELD)]
    assert "no answer after 0.2 s" in findings[1].says
    assert psutil.Process().children() == before


def test_a_budget_of_its_own_is_wider_or_narrower_than_the_wall() -> None:
    """Also when it is called by itself; the finding is signed by the checker inside."""
    narrow, wide = with_budget(Sleeps(what=for_ever), 0.1), with_budget(Calls(), 60)
    assert [(f.by, f.verdict) for f in asked(narrow, wide, wall=Wall(within_s=30))] == [
        ("Sleeps", INCONCLUSIVE),
        ("Calls", HELD),
    ]
    assert narrow(History()).says.startswith("undecided: no answer after 0.1 s")
    assert wide(History()).verdict is HELD


def test_memory_has_a_wall_too() -> None:
    """What needs more is INCONCLUSIVE, and the next checker has it all again."""
    greedy = Calls(what=lambda: len(bytearray(200 << 20)))
    little, enough = (asked(greedy, Calls(), wall=Wall(memory_mb=mb)) for mb in (100, 400))
    assert [f.verdict for f in little] == [INCONCLUSIVE, HELD]
    assert "needs more than 100 MB" in little[0].says
    assert [f.verdict for f in enough] == [HELD, HELD]


def test_one_whose_process_dies_is_inconclusive() -> None:
    """As when the kernel takes it for want of memory; the others are judged."""
    dies = Sleeps(what=lambda: os.kill(os.getpid(), signal.SIGKILL))
    findings = asked(dies, Calls())
    assert [f.verdict for f in findings] == [INCONCLUSIVE, HELD]
    assert "its process was killed" in findings[0].says


def test_errors_come_out_as_they_are_or_say_whose_they_are() -> None:
    """The lab's own with their type where it can be; a defect of a checker with checker, reason and place."""
    with pytest.raises(HistoryError, match=WRONG):
        asked(raises(HistoryError(WRONG)))
    with pytest.raises(LabError, match="Latency: too long"):
        asked(raises(FaultError("Latency", ["too long"])))
    with pytest.raises(LabError, match=r"Calls\(what=.*failed: KeyError: 'x' \(.*test_wall.py, line \d+\)"):
        asked(raises(KeyError("x")))


def test_threads_of_the_parent_do_no_harm() -> None:
    """One that holds a lock for ever is not there to be waited for, and lives on."""
    lock, held, stop = threading.Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            stop.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert [f.verdict for f in asked(Calls(), Calls())] == [HELD, HELD]
    assert thread.is_alive()
    stop.set()
    thread.join()


def test_what_the_parent_has_open_is_closed_for_checkers() -> None:
    """So that whoever waits for the runner's end, such as the guard, does not wait for a checker's."""
    reader, writer = os.pipe()
    with pytest.raises(LabError, match="Bad file descriptor"):
        asked(Calls(what=lambda: os.fstat(writer)))
    os.close(reader)
    os.close(writer)


def _worker(to: Connection) -> None:
    """As the runner's workers are: spawned, and a daemon."""
    to.send(asked(Calls(), Sleeps(what=for_ever), Calls()))


def test_it_stands_in_a_worker_of_the_runner() -> None:
    """Where multiprocessing lets nobody have children."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_worker, args=(theirs,), daemon=True)
    worker.start()
    theirs.close()
    assert [f.verdict for f in ours.recv()] == [HELD, INCONCLUSIVE, HELD]
    worker.join()
    ours.close()


def _busy() -> None:
    asked(Calls(what=for_ever), wall=Wall(within_s=60))


def test_it_dies_with_its_parent() -> None:
    """A killed worker leaves no endless checker behind."""
    worker = multiprocessing.get_context("spawn").Process(target=_busy, daemon=True)
    worker.start()
    (judge,) = wait_for(psutil.Process(worker.pid).children, what="a checker runs", within_s=20)
    worker.kill()
    worker.join()
    wait_for(lambda: not judge.is_running() or judge.status() == psutil.STATUS_ZOMBIE, what="it is gone", within_s=5)
