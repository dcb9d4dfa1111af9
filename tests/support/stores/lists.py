"""Transactions on lists, and each way in which they are not isolated."""

# ruff: noqa: ARG002  (whatever is asked, a store takes the whole call)

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.stores.interleaving import Answer, Call, Handling, Store

Held = Mapping[str, list[int]]


@dataclass(kw_only=True)
class Lists(Store):
    """Sound. A transaction works on a snapshot; it is refused when what it used is another at its commit."""

    held: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def txn(self, call: Call) -> Handling:
        """Read and append, all or nothing."""
        yield
        seen, answer = self.snapshot(), []
        for kind, key, given in call.value:
            answer.append([kind, key, given if kind == "append" else self.shown(seen, key, answer)])
            yield
        for _ in range(self.chance.randint(0, 6)):
            yield
        if not all(self.held[key] == seen[key] for kind, key, _ in answer if self.must_agree(kind)):
            return self.refuse(answer)
        self.commit(call, answer)
        yield
        return Answer(value=answer)

    def snapshot(self) -> defaultdict[str, list[int]]:
        """What there is now."""
        return defaultdict(list, {key: list(held) for key, held in self.held.items()})

    def shown(self, seen: Held, key: str, steps: list[Any]) -> list[int]:
        """What a read sees: the snapshot and the transaction's own steps."""
        return [*seen[key], *(given for kind, k, given in steps if (kind, k) == ("append", key))]

    def must_agree(self, kind: str) -> bool:
        """Whether a step of *kind* needs its list unchanged at the commit."""
        return True

    def refuse(self, answer: list[Any]) -> Answer:
        """Nothing of it happens."""
        return Answer(refused=True)

    def commit(self, call: Call, answer: list[Any]) -> None:
        """All of it happens."""
        for kind, key, given in answer:
            if kind == "append":
                self.append(key, given)

    def append(self, key: str, element: int) -> None:
        """Put an element at the end."""
        self.held[key].append(element)


class SnapshotIsolation(Lists):
    """Does not look whether what was read has changed."""

    def must_agree(self, kind: str) -> bool:
        return kind == "append"


class ReadsLive(Lists):
    """Reads each list at a moment of its own."""

    def shown(self, seen: Held, key: str, steps: list[Any]) -> list[int]:
        return super().shown(self.snapshot(), key, steps)

    def must_agree(self, kind: str) -> bool:
        return False


class Dirty(Lists):
    """Every step is there at once, for all to see."""

    def txn(self, call: Call) -> Handling:
        answer = []
        for kind, key, given in call.value:
            yield
            if kind == "append":
                self.append(key, given)
            answer.append([kind, key, given if kind == "append" else list(self.held[key])])
        yield
        return Answer(value=answer)


class KeepsRefused(Lists):
    """Refuses a transaction and does not undo it."""

    def refuse(self, answer: list[Any]) -> Answer:
        for kind, key, given in answer:
            if kind == "append":
                self.append(key, given)
        return super().refuse(answer)


class BlindToItself(Lists):
    """Does not show a transaction its own steps."""

    def shown(self, seen: Held, key: str, steps: list[Any]) -> list[int]:
        return list(seen[key])


class AppendsTwice(Lists):
    """Appends some elements again."""

    def append(self, key: str, element: int) -> None:
        self.held[key] += [element] * self.chance.choice((1, 1, 2))


class LeavesGhosts(Lists):
    """Leaves elements that nobody appended."""

    def append(self, key: str, element: int) -> None:
        self.held[key] += [element, -element][: self.chance.choice((1, 1, 2))]


@dataclass(kw_only=True)
class TwoOrders(Lists):
    """Two replicas hear of appends in orders of their own."""

    second: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def txn(self, call: Call) -> Handling:
        answer = yield from super().txn(call)
        yield
        for kind, key, given in call.value:
            if kind == "append":
                self.second[key].append(given)
        return answer

    def shown(self, seen: Held, key: str, steps: list[Any]) -> list[int]:
        return list(self.chance.choice((self.held, self.second))[key])

    def must_agree(self, kind: str) -> bool:
        return False


@dataclass(kw_only=True)
class MergesLate(Lists):
    """Acknowledges appends and puts them in order only when somebody reads."""

    queue: list[tuple[int, list[Any]]] = field(default_factory=list)

    def commit(self, call: Call, answer: list[Any]) -> None:
        self.queue.append((call.process, [step for step in answer if step[0] == "append"]))

    def snapshot(self) -> defaultdict[str, list[int]]:
        return defaultdict(list)

    def shown(self, seen: Held, key: str, steps: list[Any]) -> list[int]:
        for _, answer in self.order():
            for _, k, given in answer:
                self.append(k, given)
        self.queue.clear()
        return list(self.held[key])

    def must_agree(self, kind: str) -> bool:
        return False

    def order(self) -> list[tuple[int, list[Any]]]:
        """Any."""
        return self.chance.sample(self.queue, len(self.queue))


class MergesByProcess(MergesLate):
    """Keeps the appends of each process in their order."""

    def order(self) -> list[tuple[int, list[Any]]]:
        places = {process: self.chance.random() for process, _ in self.queue}
        return sorted(self.queue, key=lambda item: places[item[0]])


@dataclass(kw_only=True)
class ReadsThePast(Lists):
    """Reads what was there two commits ago."""

    past: list[defaultdict[str, list[int]]] = field(default_factory=list)

    def commit(self, call: Call, answer: list[Any]) -> None:
        self.past.append(super().snapshot())
        super().commit(call, answer)

    def snapshot(self) -> defaultdict[str, list[int]]:
        return self.past[-2] if len(self.past) > 1 else defaultdict(list)

    def must_agree(self, kind: str) -> bool:
        return False


class ReadsTheFuture(Lists):
    """Shows, at first, the element by which a list is called before it is there."""

    def shown(self, seen: Held, key: str, steps: list[Any]) -> list[int]:
        held, expected = super().shown(seen, key, steps), int(key.rsplit(".", maxsplit=1)[-1])
        return held or ([expected] if expected < 6 else [])
