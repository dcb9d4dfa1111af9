"""The chaos and resilience lab: break every dependency on purpose, judge what the users saw.

This face is all that a project's scenarios need. The names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chaos.checkers.breakers import (
        BreakerOpens,
        CallsAtMost,
        Crosses,
        FailuresUntilOpen,
        ProbesOnly,
        WorkersReturn,
    )
    from chaos.checkers.clients import Answers, Faster, Recovers, Succeeds, Unreachable
    from chaos.checkers.ledger import Ledger
    from chaos.checkers.moments import AtTheEnd, BeforeFaults, DuringFaults, Throughout, WhileOpen
    from chaos.experiment import Experiment, Window
    from chaos.faults.at_commit import AtCommit
    from chaos.faults.down import Down
    from chaos.faults.silence import Blackhole, HalfOpen
    from chaos.lab import Lab
    from chaos.workload.request import OpenLoop, Request

_HOMES: Final = {
    "chaos.checkers.breakers": (
        "BreakerOpens", "CallsAtMost", "Crosses", "FailuresUntilOpen", "ProbesOnly", "WorkersReturn",
    ),
    "chaos.checkers.clients": ("Answers", "Faster", "Recovers", "Succeeds", "Unreachable"),
    "chaos.checkers.ledger": ("Ledger",),
    "chaos.checkers.moments": ("AtTheEnd", "BeforeFaults", "DuringFaults", "Throughout", "WhileOpen"),
    "chaos.experiment": ("Experiment", "Window"),
    "chaos.faults.at_commit": ("AtCommit",),
    "chaos.faults.down": ("Down",),
    "chaos.faults.silence": ("Blackhole", "HalfOpen"),
    "chaos.lab": ("Lab",),
    "chaos.workload.request": ("OpenLoop", "Request"),
}

__all__ = [  # noqa: PLE0604, RUF022  (derived from one table, in its order)
    *(name for names in _HOMES.values() for name in names)
]


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    msg = f"module 'chaos' has no attribute {name!r}"
    raise AttributeError(msg)
