"""Accounts and locks, and what goes wrong with them."""

# ruff: noqa: ARG002  (whatever is asked, a store takes the whole call)

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.stores.interleaving import Answer, Call, Handling, Store

TOTAL = 90


@dataclass(kw_only=True)
class Accounts(Store):
    """Sound. Money moves at one moment, and no account is overdrawn."""

    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys("abc", TOTAL // 3))

    def transfer(self, call: Call) -> Handling:
        """Move an amount from one account to another."""
        yield
        source, target, amount = call.value
        if self.held[source] < amount:
            return Answer(refused=True)
        self.move(source, target, amount)
        yield
        return Answer(value=call.value)

    def move(self, source: str, target: str, amount: int) -> None:
        """Take and give."""
        self.held[source] -= amount
        self.held[target] += amount

    def read(self, call: Call) -> Handling:
        """All accounts at one moment."""
        yield
        held = dict(self.held)
        yield
        return Answer(value=held)

    def final(self) -> Mapping[str, int]:
        return self.held


class ReadsOneByOne(Accounts):
    """Reads each account at a moment of its own."""

    def read(self, call: Call) -> Handling:
        held = {}
        for account in self.held:
            yield
            held[account] = self.held[account]
        return Answer(value=held)


class LosesMoney(Accounts):
    """Takes, and sometimes does not give."""

    def move(self, source: str, target: str, amount: int) -> None:
        super().move(source, target, amount)
        self.held[target] -= amount if self.chance.random() < 0.2 else 0


class ChecksThenTakes(Accounts):
    """Looks whether there is enough at one moment and takes it at another."""

    def transfer(self, call: Call) -> Handling:
        source, target, amount = call.value
        enough = self.held[source] >= amount
        yield
        if not enough:
            return Answer(refused=True)
        self.move(source, target, amount)
        yield
        return Answer(value=call.value)


@dataclass(kw_only=True)
class Locks(Store):
    """Sound. A lock that one client has at a time."""

    owner: dict[str | None, int] = field(default_factory=dict)

    def acquire(self, call: Call) -> Handling:
        """Take it if it is free."""
        yield
        if call.key in self.owner:
            return Answer(refused=True)
        self.owner[call.key] = call.process
        yield
        return Answer(value=call.process)

    def release(self, call: Call) -> Handling:
        """Let it go."""
        yield
        if self.owner.get(call.key) != call.process:
            return Answer(refused=True)
        del self.owner[call.key]
        yield
        return Answer(value=call.process)


class ChecksThenLocks(Locks):
    """Looks whether it is free at one moment and takes it at another."""

    def acquire(self, call: Call) -> Handling:
        taken = call.key in self.owner
        yield
        if taken:
            return Answer(refused=True)
        self.owner[call.key] = call.process
        yield
        return Answer(value=call.process)
