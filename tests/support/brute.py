"""Brute force: is there any order of a small history that its model allows? Written from the definitions alone."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations, permutations

from chaos.history import Operation, Outcome

Step = Callable[[Hashable, Operation], Hashable | None]
"""The state after an operation, or None when the operation cannot happen in that state."""


Before = Callable[[Operation, Operation], bool]
"""Whether one operation must come before another."""


def in_time(one: Operation, other: Operation) -> bool:
    """What ended before another began."""
    return one.end_ns < other.start_ns


def in_session(one: Operation, other: Operation) -> bool:
    """The same of a single process; what other processes do may have been at any time."""
    return one.process == other.process and in_time(one, other)


def linearizable(operations: Sequence[Operation], initial: Hashable, step: Step, before: Before = in_time) -> bool:
    """Try every order that *before* allows; an operation of unknown outcome may also never happen."""
    pending = [o for o in operations if o.outcome is not Outcome.FAIL]

    def search(left: tuple[Operation, ...], state: Hashable) -> bool:
        if all(o.outcome is Outcome.INFO for o in left):
            return True
        for candidate in left:
            if any(before(other, candidate) for other in left if other is not candidate):
                continue
            after = step(state, candidate)
            if after is not None and search(tuple(o for o in left if o is not candidate), after):
                return True
        return False

    return search(tuple(pending), initial)


def by_key(operations: Iterable[Operation]) -> list[list[Operation]]:
    """The operations of each key."""
    groups: dict[str | None, list[Operation]] = {}
    for operation in operations:
        groups.setdefault(operation.key, []).append(operation)
    return list(groups.values())


def register(state: Hashable, operation: Operation) -> Hashable | None:
    """One value that is written and read; the state is a tuple of it, as None is a value."""
    if operation.operation == "write":
        return (operation.wrote,)
    if operation.outcome is Outcome.INFO:
        return state
    return state if state == (operation.value,) else None


def compare_and_set(state: Hashable, operation: Operation) -> Hashable | None:
    """A register that can also be set on condition."""
    if operation.operation != "cas":
        return register(state, operation)
    expected, new = operation.wrote
    return (new,) if state == (expected,) else None


def least_delta(operations: Sequence[Operation]) -> int | None:
    """The least number of nanoseconds by which reads must have begun earlier; None when none is enough."""
    horizon = max((o.start_ns for o in operations), default=0) + 1

    def explained(delta: int) -> bool:
        moved = [replace(o, start_ns=o.start_ns - delta) if o.operation == "read" else o for o in operations]
        return all(linearizable(group, (None,), register) for group in by_key(moved))

    return next((delta for delta in range(horizon + 1) if explained(delta)), None)


def appends(state: Hashable, operation: Operation) -> Hashable | None:
    """Lists that transactions append to and read; the state is a sorted tuple of (key, list)."""
    lists = {key: list(held) for key, held in state}  # type: ignore[attr-defined]
    steps = operation.value if operation.outcome is Outcome.OK else operation.wrote
    for kind, key, given in steps:
        if kind == "append":
            lists.setdefault(key, []).append(given)
        elif operation.outcome is Outcome.OK and lists.get(key, []) != list(given):
            return None
    return tuple(sorted((key, tuple(held)) for key, held in lists.items()))


def never(one: Operation, other: Operation) -> bool:
    """Nothing must come before anything."""
    del one, other
    return False


def element(state: Hashable, operation: Operation) -> Hashable | None:
    """One element of a set that is added, removed and, at the end, looked for; the state is how often it is there."""
    if operation.operation == "look":
        return state if state == operation.value else None
    return {"create": 1, "remove": 0}[operation.operation]


def looked(changes: Sequence[Operation], read: Operation, count: int) -> bool:
    """Whether *read* may have found one element *count* times, after some of the *changes* of it."""
    return linearizable([*changes, replace(read, operation="look", value=count)], 0, element)


def never_lost(changes: Sequence[Operation], reads: Sequence[Operation], name: str) -> bool:
    """Whether, in some order of *reads*, each that wrongly lacks the element *name* is followed by one that has it."""
    having = [r for r in reads if name in r.value]
    telling = having + [r for r in reads if name not in r.value and not looked(changes, r, 0)]
    for order in permutations(telling):
        allowed = not any(in_time(later, earlier) for earlier, later in combinations(order, 2))
        if allowed and (not order or order[-1] in having):
            return True
    return False


def counter(amounts: Sequence[Operation], read: Operation) -> bool:
    """Whether some of *amounts*, with all that ended before *read* and none that began after it, add up."""
    must = sum(o.wrote for o in amounts if o.outcome is Outcome.OK and o.end_ns < read.start_ns)
    may = [
        o.wrote
        for o in amounts
        if o.outcome is not Outcome.FAIL
        and o.start_ns <= read.end_ns
        and not (o.outcome is Outcome.OK and o.end_ns < read.start_ns)
    ]
    return any(must + sum(chosen) == read.value for n in range(len(may) + 1) for chosen in combinations(may, n))
