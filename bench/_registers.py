"""Histories of registers, written by the lab's own recorder, for the benchmark of the checkers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.history import Recorder

SPARE = dict.fromkeys(("version", "source", "age_s"))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a history is like.

    Attributes:
        clients: how many always have an operation under way; only the first *burst* operations
            overlap, if that is given.
        unknown: share of outcomes that stay unknown.
        stale: how many reads return a value that was replaced long before.
    """

    operations: int
    clients: int
    keys: int = 1
    unknown: float = 0.0
    stale: int = 0
    burst: int = 0


@dataclass(kw_only=True)
class _Call:
    """An operation under way on a register, and whether it has acted yet."""

    invoked: int
    process: int
    key: str
    wrote: int | None
    acted: bool = False
    value: Any = None


@dataclass(kw_only=True)
class _Store:
    """Registers, their clients, and the recorder of what those see."""

    shape: Shape
    recorder: Recorder
    chance: random.Random
    held: dict[str, list[int | None]] = field(default_factory=dict)
    calls: list[_Call] = field(default_factory=list)
    processes: int = 0
    idle: list[int] = field(default_factory=list)
    sent: int = 0
    stale: int = 0

    def send(self) -> None:
        self.sent += 1
        if not self.idle:
            self.processes += 1
            self.idle.append(self.processes)
        process, key = self.idle.pop(), f"k{self.chance.randrange(self.shape.keys)}"
        wrote = self.sent if self.chance.getrandbits(1) else None
        invoked = self.recorder.write(
            "invoke",
            process=process,
            operation="read" if wrote is None else "write",
            key=key,
            value=wrote,
            intended=self.sent,
            idempotency_key=None,
        )
        self.calls.append(_Call(invoked=invoked, process=process, key=key, wrote=wrote))

    def step(self) -> None:
        """A call under way acts or, when it has, is answered."""
        place = self.chance.randrange(len(self.calls))
        call = self.calls[place]
        unknown = self.chance.random() < self.shape.unknown
        if not call.acted and not unknown:
            self._act(call)
            return
        self.calls[place] = self.calls[-1]
        self.calls.pop()
        self._answer(call, "info" if unknown else "ok")

    def _act(self, call: _Call) -> None:
        held = self.held.setdefault(call.key, [None])
        if call.wrote is not None:
            held.append(call.wrote)
        call.acted, call.value = True, held[-1]
        if call.wrote is None and self.stale < self.shape.stale and self.sent > self.shape.operations // 2:
            self.stale += 1
            call.value = held[len(held) // 2]

    def _answer(self, call: _Call, outcome: str) -> None:
        known = outcome == "ok"
        self.recorder.write(
            outcome,
            invoked=call.invoked,
            process=call.process,
            operation="read" if call.wrote is None else "write",
            key=call.key,
            value=call.value if known else call.wrote,
            status=200 if known else None,
            retry_after=False,
            attempts=1,
            error=None if known else "TimeoutError",
            **SPARE,
        )
        if known:
            self.idle.append(call.process)


def write(folder: Path, shape: Shape, seed: int = 1) -> None:
    """Write a history of *shape* to *folder*."""
    with Recorder(folder, "bench") as recorder:
        store = _Store(shape=shape, recorder=recorder, chance=random.Random(seed))  # noqa: S311  (a benchmark)
        while store.sent < shape.operations or store.calls:
            at_once = shape.clients if store.sent < (shape.burst or shape.operations) else 1
            while store.sent < shape.operations and len(store.calls) < at_once:
                store.send()
                if shape.burst and store.sent == shape.burst:
                    break
            store.step()
