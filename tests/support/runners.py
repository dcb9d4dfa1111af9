"""Runners for the fork server to run, which a test then freezes or kills."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from chaos import Down, config, inject
from chaos.clock import NS_PER_S, now_ns, sleep_until
from chaos.guard import log
from chaos.guard.keeper import Keeper
from chaos.guard.reach import Reach, places_of
from chaos.guard.record import GuardedRecord
from chaos.guard.undo import Enable
from chaos.guard.watch import Guard, of_this_process
from chaos.lab import Edge, Lab, attached, embedded
from chaos.processes.supervisor import Supervisor
from chaos.proxies import Toxiproxy
from chaos.stacks.attached import attach


def hold() -> None:
    """Take an edge of PROJECT down for AT_MOST_S, with a lease of LEASE_S; at SIGCONT say whether that is owed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})  # one that comes early waits for ``sigwait``
    settings = config.load(Path(os.environ["PROJECT"]))
    stack = attach(settings)
    lab = log.Lab(runner=log.Runner.this(), edges=tuple(places_of(settings, stack.proxies).values()))
    guard = Guard(settings.root, lease_s=float(os.environ["LEASE_S"]))
    server = Toxiproxy(stack.toxiproxy_url)
    keeper = Keeper(Reach(toxiproxy=lambda _: server), GuardedRecord(settings, lab, guard))
    number = keeper.enter(Enable(toxiproxy=server.url, proxy="one.http"), float(os.environ["AT_MOST_S"]))
    server.get_proxy("one.http").disable()
    signal.sigwait({signal.SIGCONT})
    Path(os.environ["PROJECT"], "answer").write_text(str(keeper.is_owed(number)))
    signal.pause()


@dataclass(frozen=True, kw_only=True)
class Late:
    """``Down``, whose change lands so long after its undo was entered, as behind a slow Toxiproxy."""

    after_s: float

    def changes(self, lab: Lab, on: str) -> tuple["_LateChange", ...]:
        return tuple(_LateChange(edge=edge, after_s=self.after_s) for edge in lab.edges(on))


@dataclass(frozen=True, kw_only=True)
class _LateChange:
    edge: Edge
    after_s: float

    @property
    def undo(self) -> Enable:
        return Enable(toxiproxy=self.edge.server.url, proxy=self.edge.name)

    def apply(self) -> None:
        sleep_until(now_ns() + int(self.after_s * NS_PER_S))
        self.edge.proxy.disable()


@dataclass(frozen=True, kw_only=True)
class Deadly(Late):
    """The same, and its runner dies at once."""

    def changes(self, lab: Lab, on: str) -> tuple["_LateChange", ...]:
        return tuple(_DeadlyChange(edge=edge, after_s=self.after_s) for edge in lab.edges(on))


class _DeadlyChange(_LateChange):
    def apply(self) -> None:
        super().apply()
        os.kill(os.getpid(), signal.SIGKILL)


def die_late() -> None:
    """Take an edge of PROJECT down after the guard has healed it, and die."""
    with attached(config.load(Path(os.environ["PROJECT"]))) as lab:
        inject(Deadly(after_s=1.6), lab, "one.http", at_most_s=0.3)


def detach_from_a_guard_that_dies() -> None:
    """Leave an edge of PROJECT down for a second, to a guard that dies before it hears of that."""
    settings = config.load(Path(os.environ["PROJECT"]))
    with attached(settings) as lab:
        inject(Down(), lab, "one.http", at_most_s=1)
        os.kill(of_this_process(settings.root).pid, signal.SIGKILL)
        lab.keeper.hand_over()


def pause_redis() -> None:
    """Pause Redis of an embedded lab for one second, say its port, and do nothing more."""
    from chaos import Pause, inject  # noqa: PLC0415

    settings = config.load(Path(sys.argv[1]))
    with Supervisor.start(Path(sys.argv[1])) as supervisor, embedded(settings, supervisor) as lab:
        inject(Pause(), lab, "redis", at_most_s=1)
        print(lab.stack.ports["redis"], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    pause_redis()
