"""The chaos and resilience lab: break every dependency on purpose, judge what the users saw.

This face is all that a project's scenarios need. A name loads its module when it is first used,
so that the command line and the fork server start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chaos.checkers.breakers import BreakerOpens as BreakerOpens
    from chaos.checkers.breakers import Crosses as Crosses
    from chaos.checkers.breakers import FailuresUntilOpen as FailuresUntilOpen
    from chaos.checkers.breakers import ProbesOnly as ProbesOnly
    from chaos.checkers.breakers import TimeoutsPerOpening as TimeoutsPerOpening
    from chaos.checkers.breakers import WorkersReturn as WorkersReturn
    from chaos.checkers.clients import Answers as Answers
    from chaos.checkers.clients import Faster as Faster
    from chaos.checkers.clients import Recovers as Recovers
    from chaos.checkers.clients import Succeeds as Succeeds
    from chaos.checkers.clients import Unreachable as Unreachable
    from chaos.checkers.ledger import Ledger as Ledger
    from chaos.checkers.moments import AtTheEnd as AtTheEnd
    from chaos.checkers.moments import BeforeFaults as BeforeFaults
    from chaos.checkers.moments import DuringFaults as DuringFaults
    from chaos.checkers.moments import Throughout as Throughout
    from chaos.checkers.moments import WhileOpen as WhileOpen
    from chaos.clock import wait_for as wait_for
    from chaos.experiment import Experiment as Experiment
    from chaos.experiment import Window as Window
    from chaos.faults.at_commit import AtCommit as AtCommit
    from chaos.faults.down import Down as Down
    from chaos.faults.silence import Blackhole as Blackhole
    from chaos.faults.silence import HalfOpen as HalfOpen
    from chaos.lab import Lab as Lab
    from chaos.workload.request import OpenLoop as OpenLoop
    from chaos.workload.request import Request as Request

_HOMES: Final = {
    "BreakerOpens": "chaos.checkers.breakers",
    "TimeoutsPerOpening": "chaos.checkers.breakers",
    "Crosses": "chaos.checkers.breakers",
    "FailuresUntilOpen": "chaos.checkers.breakers",
    "ProbesOnly": "chaos.checkers.breakers",
    "WorkersReturn": "chaos.checkers.breakers",
    "Answers": "chaos.checkers.clients",
    "Faster": "chaos.checkers.clients",
    "Recovers": "chaos.checkers.clients",
    "Succeeds": "chaos.checkers.clients",
    "Unreachable": "chaos.checkers.clients",
    "Ledger": "chaos.checkers.ledger",
    "AtTheEnd": "chaos.checkers.moments",
    "BeforeFaults": "chaos.checkers.moments",
    "DuringFaults": "chaos.checkers.moments",
    "Throughout": "chaos.checkers.moments",
    "WhileOpen": "chaos.checkers.moments",
    "wait_for": "chaos.clock",
    "Experiment": "chaos.experiment",
    "Window": "chaos.experiment",
    "AtCommit": "chaos.faults.at_commit",
    "Down": "chaos.faults.down",
    "Blackhole": "chaos.faults.silence",
    "HalfOpen": "chaos.faults.silence",
    "Lab": "chaos.lab",
    "OpenLoop": "chaos.workload.request",
    "Request": "chaos.workload.request",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module 'chaos' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)
