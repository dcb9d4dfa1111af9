"""Random small histories, by seed: half of them true runs of a store, half of them tampered with."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from chaos.history import NEVER, Operation, Outcome

Act = Callable[[str, str, Any], Any]
"""Does an operation on a store at one moment: operation, key, what it was sent with; returns the answer's value."""


def operation(  # noqa: PLR0913  (what an operation is made of)
    index: int,
    kind: str,
    start: int,
    end: int,
    *,
    outcome: Outcome = Outcome.OK,
    key: str | None = "k",
    process: int | None = None,
    wrote: Any = None,
    value: Any = None,
    version: int | None = None,
    idempotency_key: str | None = None,
) -> Operation:
    """An operation in whole nanoseconds."""
    return Operation(
        index=index,
        process=index if process is None else process,
        operation=kind,
        key=key,
        value=value,
        wrote=wrote,
        intended_ns=start,
        start_ns=start,
        end_ns=NEVER if outcome is Outcome.INFO else end,
        answered_ns=end,
        outcome=outcome,
        version=version,
        idempotency_key=idempotency_key,
    )


@dataclass(kw_only=True)
class Plan:
    """One operation of a random run: when it starts, acts and ends, and what becomes of it."""

    start: int
    acts: int
    end: int
    kind: str
    key: str
    wrote: Any
    outcome: Outcome
    process: int = 0


def plans(chance: random.Random, count: int, make: Callable[[int], tuple[str, Any]], keys: int = 1) -> list[Plan]:
    """*count* overlapping operations, made by *make* from a number that is unique."""
    found = []
    for number in range(1, count + 1):
        start = chance.randrange(count * 3)
        end = start + chance.randrange(1, 9)
        kind, wrote = make(number)
        outcome = chance.choices([Outcome.OK, Outcome.INFO, Outcome.FAIL], [8, 2, 1])[0]
        acts = chance.randint(start, end)
        if outcome is Outcome.INFO:
            acts = chance.choice([acts, end + chance.randrange(12), NEVER])
        if outcome is Outcome.FAIL:
            acts = NEVER
        key = f"k{chance.randrange(keys)}"
        found.append(Plan(start=start, acts=acts, end=end, kind=kind, key=key, wrote=wrote, outcome=outcome))
    return sorted(found, key=lambda p: p.start)


def run(planned: list[Plan], act: Act) -> list[Operation]:
    """What the clients of a store that does *act* at each plan's moment see."""
    answers: dict[int, Any] = {}
    for number, plan in sorted(enumerate(planned), key=lambda item: item[1].acts):
        if plan.acts != NEVER:
            answers[number] = act(plan.kind, plan.key, plan.wrote)
    return [
        operation(
            n,
            p.kind,
            p.start,
            p.end,
            outcome=p.outcome,
            key=p.key,
            wrote=p.wrote,
            value=answers.get(n) if p.outcome is Outcome.OK else p.wrote,
            process=p.process or n,
        )
        for n, p in enumerate(planned)
    ]


def registers(seed: int) -> Iterator[list[Operation]]:
    """Without end: histories of reads and writes of unique values."""
    chance = random.Random(seed)
    while True:
        count, keys = chance.randint(2, 8), chance.randint(1, 2)
        yield tampered(chance, _register_run(chance, count, keys))


def long_registers(seed: int) -> Iterator[list[Operation]]:
    """Without end: histories of a hundred operations on three keys, at most one read of them tampered with."""
    chance = random.Random(seed)
    while True:
        operations = _register_run(chance, 100, 3)
        reads = [n for n, o in enumerate(operations) if o.operation == "read"]
        if reads and chance.random() < 0.5:
            place = chance.choice(reads)
            values = [o.wrote for o in operations if o.key == operations[place].key and o.operation == "write"]
            operations[place] = replace(operations[place], value=chance.choice([None, *values]))
        yield operations


def _register_run(chance: random.Random, count: int, keys: int) -> list[Operation]:
    held: dict[str, Any] = {}

    def act(kind: str, key: str, wrote: Any) -> Any:
        if kind == "write":
            held[key] = wrote
            return wrote
        return held.get(key)

    return run(plans(chance, count, lambda n: ("write", n) if chance.random() < 0.5 else ("read", None), keys), act)


def tampered(chance: random.Random, operations: list[Operation]) -> list[Operation]:
    """Half of the time as it is; else some reads return something else."""
    if chance.random() < 0.3:
        return operations
    values = [o.wrote for o in operations if o.operation != "read"] + [None, 99]
    return _misread(chance, operations, values)


def swaps(seed: int) -> Iterator[list[Operation]]:
    """Without end: histories of compare-and-sets, writes and reads."""
    chance = random.Random(seed)
    while True:
        operations = _swap_run(chance, chance.randint(1, 6))
        values = [None, *(o.wrote[1] if o.operation == "cas" else o.wrote for o in operations if o.operation != "read")]
        if chance.random() < 0.3:
            operations = [
                replace(o, wrote=[chance.choice(values), o.wrote[1]])
                if o.operation == "cas" and o.outcome is not Outcome.FAIL and chance.random() < 0.5
                else o
                for o in operations
            ]
        yield operations if chance.random() < 0.5 else _misread(chance, operations, [*values, 99])


def _swap_run(chance: random.Random, count: int) -> list[Operation]:
    held, ever = [None], [None]

    def make(number: int) -> tuple[str, Any]:
        kind = chance.choice(["cas", "cas", "read", "write"])
        return kind, {"cas": [None, number], "read": None, "write": number}[kind]

    planned = plans(chance, count, make)
    for plan in sorted(planned, key=lambda p: p.acts):
        if plan.kind == "cas":
            right = plan.acts != NEVER and chance.random() < 0.8
            plan.wrote = [held[0] if right else chance.choice(ever), plan.wrote[1]]
            if plan.wrote[0] != held[0]:
                plan.outcome = Outcome.FAIL if plan.outcome is Outcome.OK else plan.outcome
                plan.acts = NEVER
        new = plan.wrote[1] if plan.kind == "cas" else plan.wrote
        if plan.acts != NEVER and plan.kind != "read":
            held[0] = new
            ever.append(new)
    replay: list[Any] = [None]

    def act(kind: str, key: str, wrote: Any) -> Any:
        if kind != "read":
            replay[0] = wrote[1] if kind == "cas" else wrote
        return replay[0]

    return run(planned, act)


def _misread(chance: random.Random, operations: list[Operation], values: list[Any]) -> list[Operation]:
    return [
        replace(o, value=chance.choice(values)) if o.operation == "read" and chance.random() < 0.6 else o
        for o in operations
    ]


def appends(seed: int) -> Iterator[list[Operation]]:
    """Without end: histories of transactions on lists, some of them run on stale snapshots."""
    chance = random.Random(seed)
    while True:
        operations = _append_run(chance, chance.randint(2, 5), stale=chance.random() < 0.5)
        yield operations if chance.random() < 0.6 else _cut_lists(chance, operations)


def _cut_lists(chance: random.Random, operations: list[Operation]) -> list[Operation]:
    """Some reads lack the end of their list, or have it turned around."""

    def cut(step: list[Any]) -> list[Any]:
        kind, key, given = step
        if kind == "append" or chance.random() < 0.6:
            return step
        return [kind, key, given[:-1] if chance.random() < 0.7 else given[::-1]]

    return [replace(o, value=[cut(step) for step in o.value]) if o.outcome is Outcome.OK else o for o in operations]


def _append_run(chance: random.Random, count: int, *, stale: bool) -> list[Operation]:
    elements = iter(range(1, 99))

    def make(number: int) -> tuple[str, Any]:
        kinds = chance.choices(["append", "r"], k=chance.randint(1, 3))
        return "txn", [[k, chance.choice("xy"), next(elements) if k == "append" else None] for k in kinds]

    past: list[dict[str, list[int]]] = [{}]

    def act(kind: str, key: str, wrote: Any) -> Any:
        lists = {k: list(v) for k, v in past[-1].items()}
        seen = {k: list(v) for k, v in (chance.choice(past[-3:]) if stale else lists).items()}
        answer = []
        for step, name, given in wrote:
            if step == "append":
                lists.setdefault(name, []).append(given)
                seen.setdefault(name, []).append(given)
            answer.append([step, name, given if step == "append" else list(seen.get(name, []))])
        past.append(lists)
        return answer

    return run(plans(chance, count, make), act)


def elements(seed: int) -> Iterator[tuple[list[Operation], dict[str, int]]]:
    """Without end: what was added to and removed from a set, and how often each element is there at the end."""
    chance = random.Random(seed)
    while True:
        planned = plans(chance, chance.randint(1, 3), lambda n: ("create", n))
        removes = plans(chance, chance.randint(0, 3), lambda _: ("remove", chance.randint(1, 3)))
        held: dict[str, int] = {}

        def act(kind: str, key: str, wrote: Any, held: dict[str, int] = held) -> None:
            held[str(wrote)] = int(kind == "create")

        operations = run(sorted([*planned, *removes], key=lambda p: p.start), act)
        if chance.random() < 0.5:
            held[str(chance.randint(1, 3))] = chance.choice([0, 1, 2])
        yield operations, {element: count for element, count in held.items() if count}


def counters(seed: int) -> Iterator[list[Operation]]:
    """Without end: histories of increments by one and reads."""
    chance = random.Random(seed)
    while True:
        count = [0]

        def act(kind: str, key: str, wrote: Any, count: list[int] = count) -> int:
            count[0] += wrote or 0
            return count[0]

        def make(_: int) -> tuple[str, Any]:
            return chance.choice([("increment", 1), ("increment", 1), ("read", None)])

        operations = run(plans(chance, chance.randint(1, 7), make), act)
        yield operations if chance.random() < 0.5 else _misread(chance, operations, [0, 1, 2, 3])


def sessions(seed: int) -> Iterator[list[Operation]]:
    """Without end: histories of a few processes on two keys, whose answers name mostly rising versions."""
    chance = random.Random(seed)
    while True:
        rising = chance.random() < 0.7
        yield [
            operation(
                n,
                chance.choice(["read", "write"]),
                n * 3,
                n * 3 + chance.randrange(1, 3),
                key=f"k{chance.randrange(2)}",
                process=chance.randrange(2),
                outcome=chance.choices(list(Outcome), [8, 1, 1])[0],
                version=n * 2 + (0 if rising else chance.randrange(-8, 8)) + 20,
            )
            for n in range(chance.randint(1, 7))
        ]


def keyed(seed: int) -> Iterator[tuple[list[Operation], dict[str, int]]]:
    """Without end: operations that share idempotency keys, and how often each key took effect."""
    chance = random.Random(seed)
    while True:
        operations = [
            operation(
                n,
                "create",
                n,
                n + 2,
                outcome=chance.choices(list(Outcome), [8, 2, 2])[0],
                value=chance.choices(["a", "b"], [12, 1])[0],
                idempotency_key=chance.choice("xyz"),
            )
            for n in range(chance.randint(1, 4))
        ]
        refused = {o.idempotency_key for o in operations} - {
            o.idempotency_key for o in operations if o.outcome is not Outcome.FAIL
        }
        done = {str(o.idempotency_key): int(o.idempotency_key not in refused) for o in operations}
        if chance.random() < 0.4:
            done[chance.choice("xyz")] = chance.randrange(3)
        yield operations, done


def banks(seed: int) -> Iterator[list[Operation]]:
    """Without end: transfers between two accounts of ten together, and snapshots of both."""
    chance = random.Random(seed)
    while True:
        held = {"a": 5, "b": 5}

        def act(kind: str, key: str, wrote: Any, held: dict[str, int] = held) -> dict[str, int]:
            if kind == "transfer":
                held["a"] -= wrote
                held["b"] += wrote
            return dict(held)

        def make(_: int) -> tuple[str, Any]:
            return chance.choice([("transfer", chance.randint(-2, 2)), ("read", None)])

        operations = run(plans(chance, chance.randint(1, 7), make), act)
        wrong = [{"a": 5, "b": 5}, {"a": 6, "b": 5}, {"a": -1, "b": 11}]
        yield operations if chance.random() < 0.6 else _misread(chance, operations, wrong)


def snapshots(seed: int) -> Iterator[dict[str, dict[str, int]]]:
    """Without end: what a database, a cache and a copy held."""
    chance = random.Random(seed)
    while True:
        truth = {key: chance.randrange(2) for key in "abc" if chance.random() < 0.7} | {"d": 1}
        cache = {key: value for key, value in truth.items() if chance.random() < 0.7}
        copy = dict(truth)
        if chance.random() < 0.4:
            chance.choice([cache, copy])[chance.choice("abcx")] = chance.randrange(2)
        if chance.random() < 0.1:
            copy.pop("d")
        yield {"truth": truth, "cache": cache, "copy": copy}
