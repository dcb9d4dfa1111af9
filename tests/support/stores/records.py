"""Records with a cache before them and a native copy behind them, and how these come apart."""

# ruff: noqa: ARG002  (whatever is asked, a store takes the whole call)

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.stores.interleaving import Answer, Call, Handling, Steps, Store

LONG = 100


@dataclass(kw_only=True)
class Records(Store):
    """Sound. Reads fill the cache, changes empty it, and a relay carries what is there now to the copy."""

    rows: dict[str | None, Any] = field(default_factory=dict)
    cache: dict[str | None, Any] = field(default_factory=dict)
    copy: dict[str | None, Any] = field(default_factory=dict)

    def put(self, call: Call) -> Handling:
        """Make or change a record."""
        yield
        self.rows[call.key] = call.value
        self.changed(call.key)
        yield
        return Answer(value=call.value)

    def delete(self, call: Call) -> Handling:
        """Take a record away."""
        yield
        self.rows.pop(call.key, None)
        self.changed(call.key)
        yield
        return Answer(value=call.value)

    def read(self, call: Call) -> Handling:
        """From the cache, else from the record."""
        yield
        if call.key not in self.cache and call.key in self.rows:
            self.cache[call.key] = self.rows[call.key]
        value = self.cache.get(call.key)
        yield
        return Answer(value=value)

    def changed(self, key: str | None) -> None:
        """A record is another."""
        self.cache.pop(key, None)
        self.later(self.relay(key, self.rows.get(key)))

    def relay(self, key: str | None, value: Any) -> Steps:
        """Carry a change to the copy, some time later."""
        for _ in range(self.chance.randint(1, 4)):
            yield
        self.arrive(key, self.rows.get(key))

    def arrive(self, key: str | None, value: Any) -> None:
        """The copy learns of a change."""
        self.copy[key] = value
        if value is None:
            del self.copy[key]

    def stores(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: {str(k): v for k, v in getattr(self, name).items()} for name in ("rows", "cache", "copy")}


class FillsLate(Records):
    """Fills the cache with what it read before somebody deleted it."""

    def read(self, call: Call) -> Handling:
        yield
        value = self.cache.get(call.key, self.rows.get(call.key))
        yield
        if value is not None:
            self.cache[call.key] = value
        return Answer(value=value)


class Overtakes(Records):
    """Carries each change as it was then, and lets changes overtake each other."""

    def relay(self, key: str | None, value: Any) -> Steps:
        for _ in range(self.chance.randint(1, 12)):
            yield
        self.arrive(key, value)


class Dawdles(Records):
    """Carries some changes long after everything is healed."""

    def relay(self, key: str | None, value: Any) -> Steps:
        for _ in range(LONG if self.chance.random() < 0.2 else 0):
            yield
        yield from super().relay(key, value)
