"""Processes are killed, paused and restarted, and work again after the heal."""

from contextlib import closing
from signal import SIGKILL, SIGTERM

import psutil
import pytest
import requests

from chaos import Kill, Pause, Restart, inject
from chaos.errors import FaultError, UnknownNameError
from chaos.faults.fault import Fault
from chaos.lab import Lab

PROCESSES = ("postgres", "redis", "web")
pytestmark = pytest.mark.integration


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("fault", [Kill(), Pause(), Restart(), Restart(signal=SIGKILL)], ids=repr)
def test_a_process_fault_bites_and_heals(lab: Lab, process: str, fault: Fault) -> None:
    """The kernel and the wire say so, and afterwards the process does its work through every edge."""
    effect = inject(fault, lab, process)
    (bite,) = effect.bite()
    assert bite.held, bite
    effect.heal()
    assert not lab.processes.look(process).ended
    assert not lab.processes.look(process).paused
    lab.restore()


def test_a_killed_process_stays_dead_until_the_heal_and_its_family_with_it(lab: Lab) -> None:
    """None of Postgres's children outlives it."""
    family = psutil.Process(lab.stack.processes["postgres"].pid).children(recursive=True)
    assert len(family) > 3
    effect = inject(Kill(), lab, "postgres")
    assert lab.processes.look("postgres").status == -SIGKILL
    assert not [member for member in family if member.is_running()]
    effect.heal()


def test_what_postgres_acknowledged_survives_five_kills(lab: Lab) -> None:
    """It comes back by crash recovery, as a new process each time, with every committed row."""
    with closing(lab.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS acknowledged (n int)")
    pids = set()
    for number in range(5):
        with closing(lab.postgres()) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO acknowledged VALUES (%s)", [number])
        effect = inject(Restart(signal=SIGKILL), lab, "postgres")
        effect.heal()
        pids.add(lab.stack.processes["postgres"].pid)
    with closing(lab.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n FROM acknowledged ORDER BY n")
        assert [n for (n,) in cursor.fetchall()] == [0, 1, 2, 3, 4]
        cursor.execute("DROP TABLE acknowledged")
    assert len(pids) == 5


def test_every_child_of_a_paused_process_stands_still(lab: Lab) -> None:
    """The kernel says so of each, and none does after the heal."""
    postgres = psutil.Process(lab.stack.processes["postgres"].pid)
    effect = inject(Pause(), lab, "postgres")
    assert {p.status() for p in [postgres, *postgres.children(recursive=True)]} == {psutil.STATUS_STOPPED}
    effect.heal()
    assert psutil.STATUS_STOPPED not in {p.status() for p in [postgres, *postgres.children(recursive=True)]}


def test_a_service_is_restarted_in_good_order(lab: Lab) -> None:
    """SIGTERM ends it, another process answers after the heal."""
    before = lab.stack.processes["web"].pid
    effect = inject(Restart(signal=SIGTERM), lab, "web")
    effect.heal()
    assert requests.get(f"{lab.url}/health", timeout=2).ok
    assert lab.stack.processes["web"].pid != before


def test_the_lab_s_own_toxiproxy_cannot_be_hit(lab: Lab) -> None:
    """The error lists what can."""
    with pytest.raises(UnknownNameError, match="postgres, redis, web"):
        inject(Kill(), lab, "toxiproxy")


def test_an_unknown_signal_is_refused() -> None:
    """Before anything is touched."""
    with pytest.raises(FaultError, match="signal is 99"):
        Restart(signal=99)  # type: ignore[arg-type]


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("first_healed", [0, 1])
@pytest.mark.parametrize(
    "pair", [(Kill(), Kill()), (Kill(), Pause()), (Pause(), Kill()), (Pause(), Pause()), (Kill(), Restart())], ids=repr
)
def test_faults_on_one_process_do_not_heal_each_other(
    lab: Lab, process: str, pair: tuple[Fault, Fault], first_healed: int
) -> None:
    """Whichever of two is healed first, the other is still there."""
    effects = [inject(fault, lab, process) for fault in pair]
    effects[first_healed].heal()
    if isinstance(left := pair[1 - first_healed], Kill):
        assert lab.processes.look(process).ended
    elif isinstance(left, Pause):
        assert lab.processes.look(process).paused
    else:
        assert not lab.processes.look(process).ended
    effects[1 - first_healed].heal()
    look = lab.processes.look(process)
    assert not look.ended
    assert not look.paused
