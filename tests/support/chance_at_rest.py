"""Random small histories whose stores are also read as a whole: during the run, and at rest."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from chaos.history import History, Operation, Outcome
from tests.support import chance as random_histories
from tests.support.chance import plans, run


def listed(seed: int) -> Iterator[History]:
    """Without end: what was added to, removed from and listed of a set, half of them with a final read."""
    chance = random.Random(seed)
    while True:
        held: dict[str, int] = {}

        def make(number: int) -> tuple[str, Any]:
            earlier = chance.randint(1, number)
            return chance.choice([("create", number), ("create", number), ("list", None), ("remove", earlier)])

        def act(kind: str, key: str, wrote: Any, held: dict[str, int] = held) -> list[str]:
            if kind != "list":
                held[str(wrote)] = int(kind == "create")
            return sorted(element for element, there in held.items() if there)

        operations = run(plans(chance, chance.randint(2, 7), make), act)
        created = [str(o.wrote) for o in operations if o.operation == "create"]
        if created and chance.random() < 0.7:
            operations = [_mislisted(chance, o, chance.choice(created)) for o in operations]
        final = None if chance.random() < 0.5 else {element: there for element, there in held.items() if there}
        if final is not None and created and chance.random() < 0.3:
            final[chance.choice(created)] = chance.choice([0, 1, 2])
        yield History(operations=tuple(operations), final=final)


def _mislisted(chance: random.Random, read: Operation, element: str) -> Operation:
    """A read with *element* missing, added or twice; anything else as it is."""
    if read.operation != "list" or read.outcome is not Outcome.OK or chance.random() < 0.3:
        return read
    without = [e for e in read.value if e != element]
    return replace(read, value=chance.choices([without, [*without, element], [*read.value, element]], [3, 3, 1])[0])


def counted(seed: int) -> Iterator[History]:
    """Without end: counters that are incremented and read, also at the end; a key that nobody counted is not there."""
    chance = random.Random(seed)
    while True:
        counts: dict[str, int] = {}

        def act(kind: str, key: str, wrote: Any, counts: dict[str, int] = counts) -> int:
            if wrote:
                counts[key] = counts.get(key, 0) + wrote
            return counts.get(key, 0)

        def make(_: int) -> tuple[str, Any]:
            return chance.choice([("increment", 1), ("increment", 1), ("read", None)])

        operations = run(plans(chance, chance.randint(1, 7), make, keys=2), act)
        if chance.random() < 0.3:
            counts.pop(f"k{chance.randrange(2)}", None)
        if chance.random() < 0.2:
            counts[f"k{chance.randrange(2)}"] = chance.randrange(3)
        yield History(operations=tuple(operations), final=counts)


def balanced(seed: int) -> Iterator[History]:
    """Without end: histories of a bank, whose balances at the end are right, wrong, negative or not there."""
    chance = random.Random(seed)
    wrong = [{}, {"a": -1, "b": 11}, {"a": 10}, {"a": 6, "b": 5}]
    for operations in random_histories.banks(seed):
        final = {"a": 4, "b": 6} if chance.random() < 0.6 else chance.choice(wrong)
        yield History(operations=tuple(operations), final=final)


def session_appends(seed: int) -> Iterator[list[Operation]]:
    """Without end: transactions on lists by three processes, each of which has one under way at a time."""
    chance = random.Random(seed)
    for operations in random_histories.appends(seed):
        yield _by_processes(chance, operations)


def _by_processes(chance: random.Random, operations: Sequence[Operation]) -> list[Operation]:
    free_at: dict[int, int] = {}
    shared = []
    for o in sorted(operations, key=lambda o: o.start_ns):
        idle = [p for p in range(3) if free_at.get(p, -1) < o.start_ns]
        process = chance.choice(idle) if idle else len(free_at) + 3
        free_at[process] = o.answered_ns
        shared.append(replace(o, process=process))
    return shared
