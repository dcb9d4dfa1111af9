"""Clients that overlap as a seed decides: every call is sent, acts and is answered in steps of its own.

A call, a client and whatever a store does by itself are generators; each ``yield`` is a moment at
which others go on. Some requests are lost and some answers are: then the client gives up, or sends
again when it has an idempotency key, while the store may still act.
"""

import random
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from chaos.history import History, Outcome, Recorder

USERS: Final = 4
STEPS: Final = 700
SETTLING: Final = 4 * STEPS
STEP_NS: Final = 10_000_000
PATIENCE: Final = 30
"""Steps for which a client waits for one answer."""
ATTEMPTS: Final = 5
LOST: Final = 0.08
"""How often a request or its answer is lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What a client asks of a store: *operation* is the name of the store's method."""

    operation: str
    key: str | None = None
    value: Any = None
    idempotency_key: str | None = None
    process: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a store says to a call."""

    value: Any = None
    version: int | None = None
    refused: bool = False


Steps = Generator[None, None, Any]
Handling = Generator[None, None, Answer]
Client = Generator[Call, Answer | None, None]
Plan = Callable[[int, random.Random, Iterator[int]], Client]
"""The calls of one user, by its number; numbers are shared, so that values are unique."""


@dataclass(kw_only=True)
class Store:
    """What every store has: chance, and a way to do something later by itself."""

    chance: random.Random
    later: Callable[[Steps], None]

    def final(self) -> Mapping[str, int] | None:
        """What is counted after healing, if anything."""
        return None

    def stores(self) -> Mapping[str, Mapping[str, Any]] | None:
        """What its parts hold, if they can be compared."""
        return None


@dataclass(kw_only=True)
class Clock:
    """Time that passes by steps."""

    now_ns: int = 0

    def __call__(self) -> int:
        """The moment of this step."""
        return self.now_ns


def run(folder: Path, store: type[Store], plan: Plan, seed: int) -> History:
    """Four users of *plan* on a *store* until their last answer, with a fault in the second half."""
    clock = Clock()
    with Recorder(folder, "T-1", clock=clock) as recorder:
        Run(recorder, clock, store, plan, seed).until_quiet()
    return History.load(folder)


class Run:
    """One run of a store and its users."""

    def __init__(self, recorder: Recorder, clock: Clock, store: type[Store], plan: Plan, seed: int) -> None:
        self._recorder, self._clock, self._plan = recorder, clock, plan
        self._chance = random.Random(seed)
        self._numbers, self._processes = count(1), count(1)
        self._over = False
        self._users = [self._user(number) for number in range(USERS)]
        self._tasks: list[Steps] = [*self._users]
        self._store = store(chance=self._chance, later=self._tasks.append)

    def until_quiet(self) -> None:
        """Load, a fault until its end, the last answers, what the store still does, a look at it."""
        for _ in range(STEPS):
            self._step()
        self._over = True
        moments = {"sent_ns": STEPS // 2 * STEP_NS, "injected_ns": STEPS // 2 * STEP_NS}
        self._recorder.write(
            "fault", fault="Lossy()", on="a.b", heal_sent_ns=self._clock(), healed_ns=self._clock(), **moments
        )
        while any(user in self._tasks for user in self._users):
            self._step()
        for step in range(SETTLING):
            if step % 10 == 0:
                self._look()
            if not self._tasks:
                break
            self._step()
        self._look()
        if (final := self._store.final()) is not None:
            self._recorder.write("final", value=final)

    def _step(self) -> None:
        """One of those who have something to do goes on."""
        self._clock.now_ns += STEP_NS
        task = self._chance.choice(self._tasks)
        if next(task, _DONE) is _DONE:
            self._tasks.remove(task)

    def _look(self) -> None:
        if (stores := self._store.stores()) is not None:
            self._recorder.write("snapshot", stores=stores)

    def _user(self, number: int) -> Steps:
        """Call after call; as another process once an outcome is unknown."""
        plan = self._plan(number, self._chance, self._numbers)
        answer, process = None, next(self._processes)
        while not self._over:
            answer = yield from self._call(replace(plan.send(answer), process=process))
            process = next(self._processes) if answer is None else process
            yield

    def _call(self, call: Call) -> Generator[None, None, Answer | None]:
        """One operation with all its attempts, written down before and after."""
        who = {"process": call.process, "operation": call.operation, "key": call.key}
        key = {"idempotency_key": call.idempotency_key}
        invoked = self._recorder.write("invoke", **who, value=call.value, intended=self._clock(), **key)
        answer, attempts = None, 0
        while answer is None and attempts < (ATTEMPTS if call.idempotency_key else 1):
            attempts += 1
            answer = yield from self._attempt(call)
        outcome = Outcome.INFO if answer is None else Outcome.FAIL if answer.refused else Outcome.OK
        value = answer.value if answer and outcome is Outcome.OK else call.value
        version = answer.version if answer else None
        self._recorder.write(outcome, invoked=invoked, **who, value=value, version=version, attempts=attempts)
        return answer

    def _attempt(self, call: Call) -> Generator[None, None, Answer | None]:
        """The answer; None when it, or the request, was lost, or did not come in time."""
        handling: Handling = getattr(self._store, call.operation)(call)
        fate = self._chance.random()
        if fate < LOST:
            if fate < LOST / 2:
                self._tasks.append(handling)
            for _ in range(self._chance.randint(1, 5)):
                yield
            return None
        for _ in range(PATIENCE):
            try:
                next(handling)
            except StopIteration as answered:
                return answered.value
            yield
        return None


_DONE: Final = object()
