"""Sets, counters and effects: what must happen once, and what goes wrong with it."""

# ruff: noqa: ARG002  (whatever is asked, a store takes the whole call)

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.stores.interleaving import Answer, Call, Handling, Steps, Store
from tests.support.stores.registers import refuses


@dataclass(kw_only=True)
class Elements(Store):
    """Sound. A set that knows the idempotency keys of what was put into it."""

    held: list[int] = field(default_factory=list)
    known: set[str | None] = field(default_factory=set)

    def create(self, call: Call) -> Handling:
        """Put an element in, once for each key."""
        yield
        if refuses(call.value):
            return Answer(refused=True)
        if call.idempotency_key not in self.known:
            self.known.add(call.idempotency_key)
            self.held.append(call.value)
        yield
        return Answer(value=call.value)

    def remove(self, call: Call) -> Handling:
        """Take an element out."""
        yield
        self.held = [e for e in self.held if e != call.value]
        yield
        return Answer(value=call.value)

    def everything(self, call: Call) -> Handling:
        """All elements."""
        yield
        held = list(self.held)
        yield
        return Answer(value=held)

    def final(self) -> Mapping[str, int]:
        return Counter(str(element) for element in self.held)


class CopiesAndReplaces(Elements):
    """Puts back a copy with the element in it, whatever others have put in meanwhile."""

    def create(self, call: Call) -> Handling:
        before = list(self.held)
        answer = yield from super().create(call)
        if call.value in self.held and call.value not in before:
            self.held = [*before, call.value]
        return answer


class ForgetsKeys(Elements):
    """Does again what is sent again."""

    def create(self, call: Call) -> Handling:
        self.known.clear()
        return (yield from super().create(call))


class RefusesTooLate(Elements):
    """Puts an element in before it refuses it."""

    def create(self, call: Call) -> Handling:
        if refuses(call.value) and call.value not in self.held:
            self.held.append(call.value)
        return (yield from super().create(call))


class BringsBack(Elements):
    """A replica that has not heard of a removal repairs it away."""

    def remove(self, call: Call) -> Handling:
        answer = yield from super().remove(call)
        self.later(self._repair(call.value))
        return answer

    def _repair(self, element: int) -> Steps:
        for _ in range(self.chance.randint(0, 9)):
            yield
        self.held.append(element)


class HangsOnKeys(Elements):
    """Dies in the middle of a request, whose key then counts as under way for ever."""

    def create(self, call: Call) -> Handling:
        hung = f"hung {call.idempotency_key}"
        if call.idempotency_key not in self.known and self.chance.random() < 0.1:
            self.known.add(hung)
        while hung in self.known:
            yield
        return (yield from super().create(call))


class ListsLate(Elements):
    """Lists what was there three elements ago."""

    def everything(self, call: Call) -> Handling:
        answer = yield from super().everything(call)
        return Answer(value=answer.value[:-3])


class ListsInPages(Elements):
    """Lists the newest first in two pages, between which elements are added."""

    def everything(self, call: Call) -> Handling:
        yield
        half = len(self.held) // 2
        first = self.held[::-1][:half]
        yield
        return Answer(value=[*first, *self.held[::-1][half:]])


@dataclass(kw_only=True)
class ListsRemoved(Elements):
    """Lists with a replica that hears of removals late."""

    removed: list[int] = field(default_factory=list)

    def remove(self, call: Call) -> Handling:
        answer = yield from super().remove(call)
        self.removed.append(call.value)
        return answer

    def everything(self, call: Call) -> Handling:
        answer = yield from super().everything(call)
        return Answer(value=[*answer.value, *(e for e in self.removed[-1:] if e not in answer.value)])


class ListsAhead(Elements):
    """Lists, at first, what it expects to be created soon."""

    def everything(self, call: Call) -> Handling:
        answer = yield from super().everything(call)
        soon = max(answer.value, default=0) + 8
        return Answer(value=[*answer.value, soon]) if soon < 20 and not refuses(soon) else answer


class ListsRefused(Elements):
    """Puts an element in, and takes it out again when it refuses it."""

    def create(self, call: Call) -> Handling:
        if not refuses(call.value):
            return (yield from super().create(call))
        yield
        self.held.append(call.value)
        yield
        self.held = [e for e in self.held if e != call.value]
        return Answer(refused=True)


@dataclass(kw_only=True)
class Counters(Store):
    """Sound. A counter that knows the idempotency keys of its increments."""

    total: int = 0
    known: set[str | None] = field(default_factory=set)

    def increment(self, call: Call) -> Handling:
        """Add, once for each key."""
        yield
        if call.idempotency_key not in self.known:
            self.known.add(call.idempotency_key)
            self.total += call.value
        yield
        return Answer(value=call.value)

    def read(self, call: Call) -> Handling:
        """The count."""
        yield
        total = self.total
        yield
        return Answer(value=total)

    def final(self) -> Mapping[str, int]:
        return {"c": self.total}


class ReadsThenAdds(Counters):
    """Reads the count at one moment and writes it at another."""

    def increment(self, call: Call) -> Handling:
        yield
        before, known = self.total, call.idempotency_key in self.known
        self.known.add(call.idempotency_key)
        yield
        self.total = self.total if known else before + call.value
        return Answer(value=call.value)


class CountsAgain(Counters):
    """Counts again what is sent again."""

    def increment(self, call: Call) -> Handling:
        self.known.clear()
        return (yield from super().increment(call))


@dataclass(kw_only=True)
class Effects(Store):
    """Sound. Takes effect once for each idempotency key, and then answers as it did."""

    effects: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def once(self, call: Call) -> Handling:
        """Act, unless that was done, and say so."""
        yield
        key = call.idempotency_key or ""
        if refuses(call.value):
            return Answer(refused=True)
        if not self.effects[key]:
            self.act(key)
        yield
        return Answer(value=f"done {key}")

    def act(self, key: str) -> None:
        """Take effect."""
        self.effects[key] += 1

    def final(self) -> Mapping[str, int]:
        return self.effects


class ChecksThenActs(Effects):
    """Looks whether a key is known at one moment and acts at another."""

    def once(self, call: Call) -> Handling:
        key = call.idempotency_key or ""
        yield
        if refuses(call.value):
            return Answer(refused=True)
        known = self.effects[key]
        yield
        if not known:
            self.act(key)
        return Answer(value=f"done {key}")


class AnswersAnew(Effects):
    """Says something else to whoever asks again."""

    def once(self, call: Call) -> Handling:
        known = self.effects[call.idempotency_key or ""]
        answer = yield from super().once(call)
        return Answer(value=f"{answer.value} before", refused=answer.refused) if known else answer


class DropsEffects(Effects):
    """Acknowledges what it does not do."""

    def act(self, key: str) -> None:
        if self.chance.random() < 0.7:
            super().act(key)


class ActsThenRefuses(Effects):
    """Acts before it looks whether it may."""

    def once(self, call: Call) -> Handling:
        if refuses(call.value) and not self.effects[call.idempotency_key or ""]:
            self.act(call.idempotency_key or "")
        return (yield from super().once(call))
