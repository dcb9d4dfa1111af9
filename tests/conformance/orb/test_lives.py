"""Ten thousand lives over CORBA leave nothing behind in ORB Core."""

import os
from pathlib import Path

import pytest

from services.idl import OrbCore
from services.orb_core.objects import KEYS_REMEMBERED
from tests.conformance.orb.conftest import dial, get

LIVES = 10_000
WARM_UP = KEYS_REMEMBERED  # from then on a new key takes the place of an old one
PAYLOAD = b"x" * 5000


def live(factory, name: str, count: int) -> None:
    """Create and remove so many objects, every second one critical."""
    for number in range(count):
        wid = f"{name}-{number}"
        factory.create(OrbCore.Spec(wid, 1, number % 2 == 0, PAYLOAD, f"{wid}-c"))
        factory.remove(wid, f"{wid}-r")


def resident(pid: int) -> int:
    """Return the bytes that a process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def metrics(port: int) -> dict[str, float]:
    """Return the values of the metrics by name and labels."""
    lines = (line.rsplit(" ", 1) for line in get(port, "/metrics").splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


@pytest.mark.timeout(60)
def test_ten_thousand_lives_leave_nothing_behind(orb_core):
    """Allocations less deallocations are what lives, each critical object was wiped, memory is flat within 5 %."""
    found = orb_core()
    factory = dial(found["IIOP_PORT"])
    live(factory, "warm-up", WARM_UP)
    before = resident(found["pid"])
    live(factory, "life", LIVES)
    after, seen = resident(found["pid"]), metrics(found["METRICS_PORT"])
    usage = factory.memory()
    assert (usage.allocations, usage.allocations - usage.deallocations) == (LIVES + WARM_UP, usage.live_objects)
    assert (usage.live_objects, usage.live_bytes, usage.zeroize_failures) == (0, 0, 0)
    released = {
        critical: seen[f'polyorb_memory_deallocations_total{{critical="{critical}",service="orb-core"}}']
        for critical in ("true", "false")
    }
    assert released == dict.fromkeys(("true", "false"), (LIVES + WARM_UP) / 2)
    assert seen["orb_memory_zeroized_total"] == released["true"]
    assert abs(after - before) <= before * 0.05
