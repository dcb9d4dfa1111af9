"""What the users of a small store do. Numbers are shared by all users, so that values are unique."""

import random
from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.support.stores.interleaving import USERS, Call, Client, Plan

HALF = 2
"""Users below it have one role, the others another."""


def registers(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Reads and writes of one register."""
    del user
    while True:
        write = chance.random() < 0.3
        yield Call(operation="write", key="k", value=next(numbers)) if write else Call(operation="read", key="k")


def one_writer(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """One user writes one register now and then; everybody reads it."""
    while True:
        write = user == 0 and chance.random() < 0.4
        yield Call(operation="write", key="k", value=next(numbers)) if write else Call(operation="read", key="k")


def roles(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users write one register, two read it."""
    del chance
    while True:
        yield Call(operation="write", key="k", value=next(numbers)) if user < HALF else Call(operation="read", key="k")


def visits(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Each user reads and then writes one key after the other, once."""
    del user, chance
    for key in count():
        yield Call(operation="read", key=f"k{key}")
        yield Call(operation="write", key=f"k{key}", value=next(numbers))


def swaps(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Reads, and sometimes replaces what was read; now and then a write."""
    del user
    while True:
        seen = yield Call(operation="read", key="k")
        if seen and chance.random() < 0.5:
            yield Call(operation="cas", key="k", value=[seen.value, -chance.randrange(1, 10**9)])
        if chance.random() < 0.4:
            yield Call(operation="write", key="k", value=next(numbers))


def own_swaps(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Writes, and replaces what it wrote itself; never reads."""
    del user, chance
    while True:
        wrote = yield Call(operation="write", key="k", value=next(numbers))
        if wrote and not wrote.refused:
            yield Call(operation="cas", key="k", value=[wrote.value, -next(numbers)])


def rings(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """On each key three compare-and-sets: one after the other, or each after another in a circle."""
    del user, chance
    while True:
        ring, place = divmod(next(numbers), 3)
        before = (3 if ring % 2 else None) if place == 0 else place
        yield Call(operation="cas", key=f"k{ring}", value=[before, place + 1])


def additions(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Creates elements, with a key each, and lists them."""
    del user
    while True:
        number = next(numbers)
        yield Call(operation="create", value=number, idempotency_key=f"key {number}")
        if chance.random() < 0.5:
            yield Call(operation="everything")


def removals(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Creates elements, removes half of them, and lists them."""
    del user
    while True:
        number = next(numbers)
        made = yield Call(operation="create", value=number, idempotency_key=f"key {number}")
        if made and not made.refused and chance.random() < 0.5:
            yield Call(operation="remove", value=number)
        yield Call(operation="everything")


def increments(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Adds one, with a key each time, and reads the count."""
    del user
    while True:
        if chance.random() < 0.7:
            yield Call(operation="increment", key="c", value=1, idempotency_key=f"key {next(numbers)}")
        else:
            yield Call(operation="read", key="c")


def transfers(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Moves money about and looks at all accounts."""
    del user, numbers
    while True:
        if chance.random() < 0.6:
            yield Call(operation="transfer", value=[*chance.sample("abc", 2), chance.randint(5, 25)])
        else:
            yield Call(operation="read")


def shared_keys(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users send each idempotency key, at about the same time."""
    del user, chance
    while True:
        number = next(numbers) // 2
        yield Call(operation="once", value=number, idempotency_key=f"key {number}")


def locks(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Takes one lock after the other and lets it go."""
    del user, chance
    while True:
        key = f"k{next(numbers) // 4}"
        got = yield Call(operation="acquire", key=key)
        if got and not got.refused:
            yield Call(operation="release", key=key)


def records(*life: str) -> Plan:
    """On one record after the other, the calls of its *life*, at about the same time; every other one stays."""

    def plan(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
        del user, chance
        while True:
            number = next(numbers)
            record, place = divmod(number, len(life))
            operation = "read" if record % 2 and life[place] == "delete" else life[place]
            yield Call(operation=operation, key=str(record), value=number)

    return plan


def short_lives(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Makes one record after the other, and deletes half of them at once."""
    del user
    while True:
        number = next(numbers)
        made = yield Call(operation="put", key=str(number), value=number)
        if made and chance.random() < 0.5:
            yield Call(operation="delete", key=str(number), value=number)


def _txn(*steps: list[Any]) -> Call:
    return Call(operation="txn", value=[list(step) for step in steps])


def _append(key: str, number: int) -> list[Any]:
    return ["append", key, number]


def _read(key: str) -> list[Any]:
    return ["r", key, None]


def _read_only(*keys: str) -> Call:
    return _txn(*map(_read, keys))


def single_steps(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users append to one list, two read it."""
    del chance
    while True:
        yield _txn(_append("x", next(numbers)) if user < HALF else _read("x"))


def one_reader(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Three users append to one list, one reads it."""
    del chance
    while True:
        yield _txn(_append("x", next(numbers)) if user else _read("x"))


def read_and_append(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Every transaction reads the list that it appends to."""
    del user, chance
    while True:
        yield _txn(_read("x"), _append("x", next(numbers)))


def append_and_read(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Every transaction reads the list that it has appended to."""
    del user, chance
    while True:
        yield _txn(_append("x", next(numbers)), _read("x"))


def double_appends(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """One user appends to a list twice in one transaction, and the others read it at about the same time."""
    del user, chance
    while True:
        number = next(numbers)
        key = f"x{number // USERS}"
        yield _read_only(key) if number % USERS else _txn(_append(key, number), _append(key, -number))


def pairs_written(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users append to the same two lists, and a third reads both some time after."""
    del user, chance
    while True:
        number = next(numbers)
        pair, role = divmod(number, 3)
        if role:
            yield _txn(_append(f"x{pair}", number), _append(f"y{pair}", number))
        else:
            yield _read_only(f"x{pair - 4}", f"y{pair - 4}")


def both_lists(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """One user appends to two lists at once, the others read both."""
    del chance
    while True:
        number = next(numbers)
        yield _read_only("x", "y") if user else _txn(_append("x", number), _append("y", number))


def pairs_crossed(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users each append to one of two lists and then read the other."""
    del user, chance
    while True:
        number = next(numbers)
        mine, other = f"x{number // 2}", f"y{number // 2}"
        mine, other = (mine, other) if number % 2 else (other, mine)
        yield _txn(_append(mine, number), _read(other))


def pairs_skewed(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users each read one of two lists and then append to the other."""
    del user, chance
    while True:
        number = next(numbers)
        mine, other = f"x{number // 2}", f"y{number // 2}"
        mine, other = (mine, other) if number % 2 else (other, mine)
        yield _txn(_read(other), _append(mine, number))


def late_and_quick(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users read y and append to x; the others append to y and then read x, in two transactions."""
    del chance
    while True:
        if user < HALF:
            yield _txn(_read("y"), _append("x", next(numbers)))
        else:
            yield _txn(_append("y", next(numbers)))
            yield _read_only("x")


def late_and_apart(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users read y, think, and append to x; a third appends to y, and a fourth reads x."""
    del chance
    while True:
        late = _txn(_read("y"), *[_read("z")] * 6, _append("x", next(numbers)))
        yield (late, late, _txn(_append("y", next(numbers))), _read_only("x"))[user]


def own_lists(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Every user appends to a list of its own and then reads it."""
    del user, chance
    while True:
        number = next(numbers)
        yield _txn(_append(f"x.{number}", number))
        yield _read_only(f"x.{number}")


def own_lists_early(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Every user reads a list of its own and then appends to it."""
    del chance, numbers
    for number in count():
        yield _read_only(f"x{user}.{number}")
        yield _txn(_append(f"x{user}.{number}", number))


def lists_early(user: int, chance: random.Random, numbers: Iterator[int]) -> Client:
    """Two users each read one list after the other, two others append to them, some lists behind."""
    del chance, numbers
    for number in count():
        behind = number - 3
        pair = user % HALF
        yield _read_only(f"x{pair}.{number}") if user < HALF else _txn(_append(f"x{pair}.{behind}", behind))
