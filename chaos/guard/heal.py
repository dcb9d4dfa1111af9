"""Takes changes back, by harder ways when the gentle one fails, and proves it on the wire."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from chaos.clock import NS_PER_S, now_ns, wait_for
from chaos.config import Address
from chaos.errors import HealError, LabError
from chaos.guard.reach import Place, Reach
from chaos.guard.undo import Undo
from chaos.probes import Answer, probe

HEAL_WITHIN_S: Final = 4.0
PROVE_WITHIN_S: Final = 1.0
WORKS_WITHIN_S: Final = 5.0
"""How long a process that was let go on, or started, may take to answer."""
SETTLE_S: Final = 0.1
"""What a runner sent just before it died may arrive at Toxiproxy later than the first healing."""

GONE: Final = "gone with the platform"

_NOBODY_THERE: Final = frozenset({Answer.REFUSED, Answer.SILENT})


@dataclass(frozen=True, kw_only=True, slots=True)
class Healing:
    """What became of undos that were owed, by number: how they were done, or why they could not be."""

    healed: Mapping[int, str]
    failed: Mapping[int, str]


def heal_one(undo: Undo, others: Sequence[Undo], reach: Reach) -> str:
    """Perform *undo* in the gentlest way that works, as the wire shows, and return which one that was.

    Args:
        others: the undos that are still owed.

    Raises:
        HealError: no way worked; carries the command that does it by hand.
    """
    problems = []
    for how, way in undo.ways():
        try:
            way(reach, others)
            prove(undo, others, reach)
        except LabError as error:
            problems.append(str(error))
        else:
            return how
    raise HealError("; ".join(dict.fromkeys(problems)))


def heal_all(owed: Mapping[int, Undo], reach: Reach, *, staying: Sequence[Undo] = (), settle: bool = False) -> Healing:
    """Perform all of *owed*, the last one first, again and again until they are done and proved.

    Args:
        staying: other undos that stay owed.
        settle: look again after a moment whether something has reappeared: its runner has just died.
    """
    deadline_ns = now_ns() + int(HEAL_WITHIN_S * NS_PER_S)
    healed: dict[int, str] = {}
    failed: dict[int, str] = {}
    waiting = dict(owed)
    while waiting and now_ns() < deadline_ns:
        for number in sorted(waiting, reverse=True):
            others = [*staying, *(undo for n, undo in waiting.items() if n != number)]
            try:
                healed[number] = _heal_or_gone(waiting[number], others, reach)
            except LabError as error:
                failed[number] = str(error)
                if now_ns() > deadline_ns:
                    break
            else:
                del waiting[number]
        if settle or waiting:
            time.sleep(SETTLE_S)
        if settle:
            waiting |= {n: owed[n] for n in _reappeared(owed, healed, staying, reach)}
    return Healing(
        healed={n: how for n, how in healed.items() if n not in waiting},
        failed={n: failed.get(n, "there was no time left to try") for n in waiting},
    )


def prove(undo: Undo, others: Sequence[Undo], reach: Reach) -> None:
    """Return when the change is seen to be gone and what it was on answers on the wire; raises LabError.

    Toxiproxy, or the kernel, is asked first: an edge answers through many a toxic. Nobody can expect
    an answer while *others* still hold it (or the dependency of an edge), or when the dependency
    does not answer past the proxy either. A process must speak at each of its own doors.
    """
    if undo.in_effect(reach, others):
        msg = f"{undo.on} is not healed: what '{undo.by_hand()}' takes back is still there"
        raise LabError(msg)
    held = {undo.on, undo.on.rpartition(".")[2]}
    if any(other.on in held for other in others):
        return
    if place := reach.places.get(undo.on):
        _prove_edge(place)
    for door, protocol in reach.doors.get(undo.on, {}).items():
        wait_for(
            lambda: probe(door, protocol).answer not in _NOBODY_THERE,  # noqa: B023  (asked within this round)
            what=f"{undo.on} answers at {door}",
            within_s=WORKS_WITHIN_S,
        )


def _prove_edge(place: Place) -> None:
    listen, upstream = Address.parse(place.listen), Address.parse(place.upstream)

    def well() -> bool:
        if probe(listen, place.protocol).answer is Answer.ANSWERED:
            return True
        return probe(upstream, place.protocol).answer is not Answer.ANSWERED

    wait_for(well, what=f"{place.name} answers again", within_s=PROVE_WITHIN_S)


def _heal_or_gone(undo: Undo, others: Sequence[Undo], reach: Reach) -> str:
    if _gone(undo, reach):
        return GONE
    try:
        return heal_one(undo, others, reach)
    except LabError:
        if _gone(undo, reach):
            return GONE
        raise


def _gone(undo: Undo, reach: Reach) -> bool:
    """Whether nothing is left to heal: the processes have ended, or Toxiproxy and both ends of the edge refuse."""
    place = reach.places.get(undo.on)
    if place is None:
        return reach.is_gone()
    api = urlsplit(getattr(undo, "toxiproxy", ""))
    addresses = (Address(api.hostname or "", api.port or 80), *map(Address.parse, (place.listen, place.upstream)))
    return all(map(_refuses, addresses))


def _refuses(address: Address) -> bool:
    return probe(address, "tcp").answer is Answer.REFUSED


def _reappeared(owed: Mapping[int, Undo], healed: Mapping[int, str], staying: Sequence[Undo], reach: Reach) -> set[int]:
    """Numbers of those *healed* whose change is there again."""
    return {n for n, how in healed.items() if how != GONE and _in_effect(owed[n], staying, reach)}


def _in_effect(undo: Undo, staying: Sequence[Undo], reach: Reach) -> bool:
    try:
        return undo.in_effect(reach, staying)
    except LabError:
        return not _gone(undo, reach)
