"""Defects that can be planted on purpose, to see whether a test finds them.

`PLATFORM_PLANT` takes their names, in the `lab` profile only. What a safeguard prevents is seen by
switching it off (`services/safeguards.py`); these are mistakes that no switch makes.
"""

import asyncio
import difflib
import random
import time
from collections.abc import Callable
from uuid import UUID, uuid4

VARIABLE = "PLATFORM_PLANT"
PROFILE = "lab"

COARSE_IDS = "widget-core.create.coarse_ids"
BOTTLENECK = "widget-core.create.bottleneck"
ONE_BY_ONE = "widget-core.bulk.one_by_one"
READ_THEN_WRITE = "widget-core.update.read_then_write"
TABLE_LOCK = "widget-core.update.table_lock"
LOOK_THEN_DELETE = "widget-core.delete.look_then_delete"
LOOK_THEN_REGISTER = "security.register.look_then_insert"
MIXED_UP = "widget-core.read.mixed_up"
LATE_PUT = "widget-core.cache.late_put"
COUNT_AS_SEEN = "security.lockout.count_as_seen"

CATALOGUE = {
    COARSE_IDS: "the id of a widget is the time, in hundredths of a second",
    BOTTLENECK: "creations pass one after the other through a gate, 80 ms each",
    ONE_BY_ONE: "a bulk creation commits widget by widget",
    READ_THEN_WRITE: "an update reads the row and writes all of it back, without comparing versions",
    TABLE_LOCK: "an update locks the whole table",
    LOOK_THEN_DELETE: "a deletion looks first, and takes it amiss when the widget is gone then",
    MIXED_UP: "a read that is repeated asks for what the read before it asked for",
    LATE_PUT: "a widget is put into the cache up to 60 ms late: harmless while versions are compared",
    LOOK_THEN_REGISTER: "a registration looks whether the address is free, and overwrites who came meanwhile",
    COUNT_AS_SEEN: "a wrong password writes the count that was read before it was checked, plus one",
}
GATE_S = 0.08
DAWDLE_S = (0.03, 0.06)


class _Planted:
    """What is planted in this process; nothing until the service reads its settings."""

    names: frozenset[str] = frozenset()
    gate = asyncio.Lock()
    asked = ""


def plant(text: str, profile: str) -> list[str]:
    """Plant the comma separated defects of *text*; return what is wrong with it, and plant nothing then."""
    names = frozenset(part.strip() for part in text.split(",") if part.strip())
    problems = [f"{VARIABLE}: {_unknown(name)}" for name in sorted(names - CATALOGUE.keys())]
    if names and profile != PROFILE:
        problems.append(f"{VARIABLE} is only for SERVICE_PROFILE={PROFILE}")
    _Planted.names = frozenset() if problems else names
    return problems


def on(name: str) -> bool:
    """Tell whether the defect *name* is planted."""
    return name in _Planted.names


def new_id() -> str:
    """Return the id of a new widget."""
    return str(UUID(int=int(time.time() * 100)) if on(COARSE_IDS) else uuid4())


def asking(wid: str) -> Callable[[], str]:
    """Return what tells each attempt of a read which widget to ask for: always *wid*."""
    if not on(MIXED_UP):
        return lambda: wid
    before, _Planted.asked = _Planted.asked or wid, wid
    attempts = iter((wid,))
    return lambda: next(attempts, before)


async def pass_gate() -> None:
    """Return at once, unless there is a gate."""
    if on(BOTTLENECK):
        async with _Planted.gate:
            await asyncio.sleep(GATE_S)


async def dawdle(name: str) -> None:
    """Return at once, unless *name* is planted: then after a while, so that others come in between."""
    if on(name):
        await asyncio.sleep(random.uniform(*DAWDLE_S))  # noqa: S311 - jitter


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, CATALOGUE, n=3, cutoff=0.4) or sorted(CATALOGUE)
    return f"no defect is called {name!r}; did you mean {', '.join(near)}?"
