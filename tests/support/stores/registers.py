"""Registers with versions, and what goes wrong with them."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.stores.interleaving import Answer, Call, Handling, Store

SPECULATES_BELOW: Final = 15
FAR_AHEAD: Final = 8
"""More than there are clients: nobody has sent that number yet."""


def refuses(value: int) -> bool:
    """Whether a store refuses *value*: every fifth."""
    return value % 5 == 0


@dataclass(kw_only=True)
class Registers(Store):
    """Sound. Every value that a key had, in order; its place is its version."""

    past: dict[str | None, list[Any]] = field(default_factory=lambda: defaultdict(lambda: [None]))

    def read(self, call: Call) -> Handling:
        """The value that a replica has."""
        yield
        version = self.replica(call.key)
        answer = Answer(value=self.past[call.key][version], version=version)
        yield
        return answer

    def write(self, call: Call) -> Handling:
        """Put it, unless it is refused."""
        yield
        if refuses(call.value):
            return Answer(refused=True)
        answer = self.put(call.key, call.value)
        yield
        return answer

    def cas(self, call: Call) -> Handling:
        """Put the new value if the expected one is there."""
        yield
        expected, new = call.value
        if expected != self.past[call.key][-1]:
            return Answer(refused=True)
        answer = self.put(call.key, new)
        yield
        return answer

    def replica(self, key: str | None) -> int:
        """The version that is read."""
        return len(self.past[key]) - 1

    def put(self, key: str | None, value: Any) -> Answer:
        """The next version of a key."""
        self.past[key].append(value)
        return Answer(value=value, version=len(self.past[key]) - 1)


@dataclass(kw_only=True)
class LaggingReplica(Registers):
    """Some reads go to a replica that lacks the latest write, although that was acknowledged."""

    acknowledged: dict[str | None, int] = field(default_factory=dict)

    def write(self, call: Call) -> Handling:
        answer = yield from super().write(call)
        self.acknowledged[call.key] = answer.version or 0
        return answer

    def cas(self, call: Call) -> Handling:
        answer = yield from super().cas(call)
        self.acknowledged[call.key] = answer.version or 0
        return answer

    def replica(self, key: str | None) -> int:
        latest = super().replica(key)
        lags = self.acknowledged.get(key) == latest and self.chance.random() < 0.4
        return latest - 1 if lags else latest


class BehindForever(Registers):
    """All reads go to one replica that is two writes behind."""

    def replica(self, key: str | None) -> int:
        return max(0, super().replica(key) - 2)


@dataclass(kw_only=True)
class OneAfterTheOther(Registers):
    """A write reaches one replica some time before the other, and is acknowledged after both."""

    second: dict[str | None, int] = field(default_factory=lambda: defaultdict(int))

    def write(self, call: Call) -> Handling:
        answer = yield from super().write(call)
        for _ in range(3):
            yield
        self.second[call.key] = max(self.second[call.key], answer.version or 0)
        return answer

    def replica(self, key: str | None) -> int:
        return self.chance.choice((super().replica(key), self.second[key]))


class LosesWrites(Registers):
    """Acknowledges what it drops."""

    def put(self, key: str | None, value: Any) -> Answer:
        return Answer(value=value, version=0) if self.chance.random() < 0.3 else super().put(key, value)


@dataclass(kw_only=True)
class TornWrites(Registers):
    """Writes and reads in two halves."""

    halves: dict[str | None, list[Any]] = field(default_factory=lambda: defaultdict(lambda: [None, None]))

    def write(self, call: Call) -> Handling:
        yield
        if refuses(call.value):
            return Answer(refused=True)
        self.halves[call.key][0] = call.value
        yield
        self.halves[call.key][1] = call.value
        return Answer(value=call.value)

    def read(self, call: Call) -> Handling:
        yield
        one, other = self.halves[call.key]
        yield
        return Answer(value=one if one == other else f"{one}{other}")

    def cas(self, call: Call) -> Handling:
        yield
        expected, new = call.value
        if self.halves[call.key] != [expected, expected]:
            return Answer(refused=True)
        self.halves[call.key] = [new, new]
        return Answer(value=new)


class WritesThenRefuses(Registers):
    """Writes before it looks whether it may."""

    def write(self, call: Call) -> Handling:
        yield
        answer = self.put(call.key, call.value)
        yield
        return Answer(refused=True) if refuses(call.value) else answer


class Speculates(Registers):
    """Answers, at first, with a value that it expects to be written soon."""

    def read(self, call: Call) -> Handling:
        answer = yield from super().read(call)
        soon = max((v for v in self.past[call.key] if v), default=0) + FAR_AHEAD
        return Answer(value=soon) if soon < SPECULATES_BELOW and not refuses(soon) else answer


class SplitBrain(Registers):
    """Some writes are numbered by a leader that is behind."""

    def put(self, key: str | None, value: Any) -> Answer:
        answer = super().put(key, value)
        behind = self.chance.choice((0, 3))
        return Answer(value=value, version=max(1, (answer.version or 0) - behind))


class ChecksThenSets(Registers):
    """Compares at one moment and sets at another."""

    def cas(self, call: Call) -> Handling:
        yield
        expected, new = call.value
        if expected != self.past[call.key][-1]:
            return Answer(refused=True)
        yield
        return self.put(call.key, new)


class ComparesWithThePast(Registers):
    """Compares with a replica that is behind."""

    def cas(self, call: Call) -> Handling:
        yield
        expected, new = call.value
        if expected not in self.past[call.key][-3:]:
            return Answer(refused=True)
        answer = self.put(call.key, new)
        yield
        return answer


@dataclass(kw_only=True)
class Waits(Registers):
    """Sound. A compare-and-set waits for what it expects, for a while."""

    waiting: dict[tuple[str | None, Any], Any] = field(default_factory=dict)

    def cas(self, call: Call) -> Handling:
        """Wait, then put the new value."""
        expected, new = call.value
        self.waiting[call.key, new] = expected
        for _ in range(8):
            yield
            if self.may_pass(call.key, expected, new):
                answer = self.put(call.key, new)
                yield
                return answer
        del self.waiting[call.key, new]
        return Answer(refused=True)

    def may_pass(self, key: str | None, expected: Any, new: Any) -> bool:
        """Whether what it waits for is there."""
        del new
        return bool(expected == self.past[key][-1])


class LetsACirclePass(Waits):
    """Ends a deadlock by letting all pass that wait for each other."""

    def may_pass(self, key: str | None, expected: Any, new: Any) -> bool:
        value, seen = expected, set[Any]()
        while (key, value) in self.waiting and value not in seen:
            seen.add(value)
            value = self.waiting[key, value]
        return new in seen or super().may_pass(key, expected, new)
