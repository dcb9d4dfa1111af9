"""The chaos and resilience lab: break every dependency on purpose, judge what the users saw.

This face is all that a project's scenarios need. A name loads its module when it is first used,
so that the command line and the fork server start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chaos.checkers.at_rest import AtRest as AtRest
    from chaos.checkers.bank import Bank as Bank
    from chaos.checkers.breakers import BreakerCloses as BreakerCloses
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
    from chaos.checkers.compare_and_set import CompareAndSet as CompareAndSet
    from chaos.checkers.counter import Counter as Counter
    from chaos.checkers.fallback import ServesStale as ServesStale
    from chaos.checkers.idempotency import Idempotency as Idempotency
    from chaos.checkers.ledger import Ledger as Ledger
    from chaos.checkers.limits import Bulkhead as Bulkhead
    from chaos.checkers.limits import Deadline as Deadline
    from chaos.checkers.limits import InFlight as InFlight
    from chaos.checkers.limits import Sheds as Sheds
    from chaos.checkers.linearizable import Linearizable as Linearizable
    from chaos.checkers.moments import AtTheEnd as AtTheEnd
    from chaos.checkers.moments import BeforeFaults as BeforeFaults
    from chaos.checkers.moments import DuringFaults as DuringFaults
    from chaos.checkers.moments import Throughout as Throughout
    from chaos.checkers.moments import WhileOpen as WhileOpen
    from chaos.checkers.own_key import OwnKey as OwnKey
    from chaos.checkers.recovery import Steady as Steady
    from chaos.checkers.register import Register as Register
    from chaos.checkers.retries import Amplifies as Amplifies
    from chaos.checkers.retries import BudgetRefuses as BudgetRefuses
    from chaos.checkers.retries import Reconnects as Reconnects
    from chaos.checkers.retries import Retries as Retries
    from chaos.checkers.retries import Spaced as Spaced
    from chaos.checkers.sessions import Sessions as Sessions
    from chaos.checkers.staleness import Staleness as Staleness
    from chaos.checkers.transactions import Transactions as Transactions
    from chaos.clock import wait_for as wait_for
    from chaos.experiment import Experiment as Experiment
    from chaos.experiment import Mutation as Mutation
    from chaos.experiment import Window as Window
    from chaos.faults.at_commit import AtCommit as AtCommit
    from chaos.faults.bandwidth import Bandwidth as Bandwidth
    from chaos.faults.down import Down as Down
    from chaos.faults.fault import inject as inject
    from chaos.faults.flapping import flapping as flapping
    from chaos.faults.freeze import Freeze as Freeze
    from chaos.faults.in_turn import in_turn as in_turn
    from chaos.faults.in_turn import ramp as ramp
    from chaos.faults.kill import Kill as Kill
    from chaos.faults.latency import Latency as Latency
    from chaos.faults.limit_data import LimitData as LimitData
    from chaos.faults.pause import Pause as Pause
    from chaos.faults.rearmed import rearmed as rearmed
    from chaos.faults.reset_peer import ResetPeer as ResetPeer
    from chaos.faults.restart import Restart as Restart
    from chaos.faults.silence import Blackhole as Blackhole
    from chaos.faults.silence import HalfOpen as HalfOpen
    from chaos.faults.slicer import Slicer as Slicer
    from chaos.faults.slow_close import SlowClose as SlowClose
    from chaos.faults.together import at as at
    from chaos.faults.together import together as together
    from chaos.lab import Lab as Lab
    from chaos.workload.answers import Answer as Answer
    from chaos.workload.answers import Header as Header
    from chaos.workload.answers import JsonField as JsonField
    from chaos.workload.mix import Mix as Mix
    from chaos.workload.rates import Burst as Burst
    from chaos.workload.rates import Ramp as Ramp
    from chaos.workload.request import ClosedLoop as ClosedLoop
    from chaos.workload.request import OpenLoop as OpenLoop
    from chaos.workload.request import Request as Request

_HOMES: Final = {
    "AtRest": "chaos.checkers.at_rest",
    "Bank": "chaos.checkers.bank",
    "BreakerCloses": "chaos.checkers.breakers",
    "BreakerOpens": "chaos.checkers.breakers",
    "Crosses": "chaos.checkers.breakers",
    "FailuresUntilOpen": "chaos.checkers.breakers",
    "ProbesOnly": "chaos.checkers.breakers",
    "TimeoutsPerOpening": "chaos.checkers.breakers",
    "WorkersReturn": "chaos.checkers.breakers",
    "with_budget": "chaos.wall",
    "Answers": "chaos.checkers.clients",
    "Faster": "chaos.checkers.clients",
    "Recovers": "chaos.checkers.clients",
    "Succeeds": "chaos.checkers.clients",
    "Unreachable": "chaos.checkers.clients",
    "CompareAndSet": "chaos.checkers.compare_and_set",
    "Counter": "chaos.checkers.counter",
    "ServesStale": "chaos.checkers.fallback",
    "Idempotency": "chaos.checkers.idempotency",
    "Ledger": "chaos.checkers.ledger",
    "Bulkhead": "chaos.checkers.limits",
    "Deadline": "chaos.checkers.limits",
    "InFlight": "chaos.checkers.limits",
    "Sheds": "chaos.checkers.limits",
    "Linearizable": "chaos.checkers.linearizable",
    "AtTheEnd": "chaos.checkers.moments",
    "BeforeFaults": "chaos.checkers.moments",
    "DuringFaults": "chaos.checkers.moments",
    "Throughout": "chaos.checkers.moments",
    "WhileOpen": "chaos.checkers.moments",
    "OwnKey": "chaos.checkers.own_key",
    "Steady": "chaos.checkers.recovery",
    "Register": "chaos.checkers.register",
    "Amplifies": "chaos.checkers.retries",
    "BudgetRefuses": "chaos.checkers.retries",
    "Reconnects": "chaos.checkers.retries",
    "Retries": "chaos.checkers.retries",
    "Spaced": "chaos.checkers.retries",
    "Sessions": "chaos.checkers.sessions",
    "Staleness": "chaos.checkers.staleness",
    "Transactions": "chaos.checkers.transactions",
    "wait_for": "chaos.clock",
    "Experiment": "chaos.experiment",
    "Mutation": "chaos.experiment",
    "Window": "chaos.experiment",
    "AtCommit": "chaos.faults.at_commit",
    "Bandwidth": "chaos.faults.bandwidth",
    "Down": "chaos.faults.down",
    "inject": "chaos.faults.fault",
    "flapping": "chaos.faults.flapping",
    "Freeze": "chaos.faults.freeze",
    "in_turn": "chaos.faults.in_turn",
    "ramp": "chaos.faults.in_turn",
    "Kill": "chaos.faults.kill",
    "Latency": "chaos.faults.latency",
    "LimitData": "chaos.faults.limit_data",
    "Pause": "chaos.faults.pause",
    "rearmed": "chaos.faults.rearmed",
    "ResetPeer": "chaos.faults.reset_peer",
    "Restart": "chaos.faults.restart",
    "Blackhole": "chaos.faults.silence",
    "HalfOpen": "chaos.faults.silence",
    "Slicer": "chaos.faults.slicer",
    "SlowClose": "chaos.faults.slow_close",
    "at": "chaos.faults.together",
    "together": "chaos.faults.together",
    "Lab": "chaos.lab",
    "Answer": "chaos.workload.answers",
    "Header": "chaos.workload.answers",
    "JsonField": "chaos.workload.answers",
    "Mix": "chaos.workload.mix",
    "Burst": "chaos.workload.rates",
    "Ramp": "chaos.workload.rates",
    "ClosedLoop": "chaos.workload.request",
    "OpenLoop": "chaos.workload.request",
    "Request": "chaos.workload.request",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module 'chaos' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)
