"""Faults that come and go, take turns and rise: by themselves, until somebody heals."""

import threading
from contextlib import suppress

import pytest

from chaos import Down, Freeze, Kill, Latency, at, flapping, in_turn, inject, ramp
from chaos.clock import wait_for
from chaos.errors import LabError
from chaos.faults.fault import Effect
from chaos.lab import Lab
from chaos.probes import Answer

EDGE = "web.redis"
pytestmark = pytest.mark.integration


def refused(lab: Lab) -> bool:
    """Whether the edge refuses connections now."""
    return lab.edge(EDGE).probe().answer is Answer.REFUSED


def see(lab: Lab, *, down: bool) -> None:
    """Wait until the edge refuses, or does not."""
    wait_for(lambda: refused(lab) is down, what=f"down is {down}", within_s=5)


def take_away(lab: Lab) -> None:
    """Heal everything as the guard does: behind the back of who injected it."""
    for number in [*lab.keeper._owed]:
        lab.keeper.undo(number)


def test_flapping_comes_and_goes_until_it_is_healed(lab: Lab) -> None:
    """It begins on; its bite is measured in an on-phase; the heal leaves the edge well."""
    effect = inject(flapping(Down(), on_ms=80, off_ms=80), lab, EDGE)
    assert refused(lab)
    (bite,) = effect.bite()
    assert bite.held, bite
    for _ in range(2):
        see(lab, down=False)
        see(lab, down=True)
    effect.heal()
    assert effect.bite_later() == ()
    lab.prove_healed(lab.edge(EDGE))


def test_a_killed_process_can_flap(lab: Lab) -> None:
    """It is another process each time."""
    before = lab.stack.processes["redis"].pid
    effect = inject(flapping(Kill(), on_ms=60, off_ms=60), lab, "redis")
    (bite,) = effect.bite()
    assert bite.held, bite
    wait_for(lambda: not lab.processes.look("redis").ended, what="it is back", within_s=5)
    between = lab.stack.processes["redis"].pid
    assert between != before
    wait_for(lambda: lab.processes.look("redis").ended, what="it is killed again", within_s=5)
    effect.heal()
    assert lab.stack.processes["redis"].pid != between


def test_faults_in_turn_replace_each_other_and_begin_again(lab: Lab) -> None:
    """Each has its evidence."""
    effect = inject(in_turn(Down(), Latency(delay_ms=60), each_s=0.15), lab, EDGE)
    assert [bite.held for bite in effect.bite()] == [True]
    see(lab, down=True)
    wait_for(lambda: [*lab.edge(EDGE).proxy.toxics()], what="it is slow", within_s=5)
    see(lab, down=True)
    effect.heal()
    assert [bite.held for bite in effect.bite_later()] == [True]
    assert lab.edge(EDGE).proxy.toxics() == {}
    lab.prove_healed(lab.edge(EDGE))


def test_late_evidence_of_a_first_fault_is_kept(lab: Lab) -> None:
    """What was frozen first is seen to thaw when it goes off, and that is told with the rest."""
    effect = inject(flapping(Freeze(), on_ms=100, off_ms=100), lab, EDGE)
    (frozen,) = effect.bite()
    effect.heal()
    (thawed,) = effect.bite_later()
    assert frozen.held
    assert thawed.held
    assert "arrives on the connection" in thawed.expected


def test_a_ramp_stays_at_its_last_step(lab: Lab) -> None:
    """One latency takes the place of the other."""
    effect = inject(ramp([Latency(delay_ms=60), Latency(delay_ms=120)], every_s=0.1), lab, EDGE)

    def delays() -> list[int]:
        return [toxic.attributes["latency"] for toxic in lab.edge(EDGE).proxy.toxics().values()]

    assert delays() == [60]
    wait_for(lambda: delays() == [120], what="the second step", within_s=5)
    wait_for(lambda: len(effect.bite()) == 1, what="the first was measured", within_s=5)
    effect.heal()
    assert [bite.held for bite in effect.bite_later()] == [True]


def test_a_step_that_never_came_did_not_bite(lab: Lab) -> None:
    """The fault was healed too early for it."""
    effect = inject(ramp([Down(), Latency(delay_ms=60)], every_s=30), lab, EDGE)
    effect.heal()
    (bite,) = effect.bite_later()
    assert not bite.held
    assert bite.measured == "it was healed before"


@pytest.mark.parametrize("down", [True, False])
def test_what_the_guard_has_healed_does_not_come_back(lab: Lab, *, down: bool) -> None:
    """Whether it was on or off at that moment, the thread ends by itself."""
    effect = inject(flapping(Down(), on_ms=60, off_ms=60), lab, EDGE)
    see(lab, down=down)
    take_away(lab)
    wait_for(lambda: not alive(effect), what="the thread has ended", within_s=5)
    assert not refused(lab)
    effect.heal()


def test_its_maximum_duration_ends_it(lab_of_its_own: Lab) -> None:
    """Even when nobody heals: the guard takes back what is on then, and nothing follows."""
    lab = lab_of_its_own
    effect = inject(flapping(Down(), on_ms=60, off_ms=60), lab, EDGE, at_most_s=0.1)
    wait_for(lambda: not alive(effect), what="the thread has ended", within_s=5)
    wait_for(lambda: not refused(lab), what="the guard has healed", within_s=5)
    with suppress(LabError):
        effect.heal()
    lab.prove_healed(lab.edge(EDGE))


def test_a_change_that_fails_in_the_background_is_told_at_the_heal(lab: Lab) -> None:
    """And the rest is healed."""
    broken = at("web.postgres", Down())
    effect = inject(in_turn(Latency(delay_ms=60), broken, each_s=0.1), lab, EDGE)
    proxy = lab.edge("web.postgres").proxy
    proxy.destroy()
    wait_for(lambda: not alive(effect), what="the thread has ended", within_s=5)
    with pytest.raises(LabError, match=r"web\.postgres"):
        effect.heal()
    lab.prove_healed(lab.edge("web.postgres"))
    assert lab.edge(EDGE).proxy.toxics() == {}


def alive(effect: Effect) -> bool:
    """Whether its thread runs."""
    thread: threading.Thread | None = effect._background._thread  # type: ignore[attr-defined]
    return thread is not None and thread.is_alive()
