"""A Toxiproxy of the lab's own that hangs or dies while faults are in effect does not keep them in effect."""

import os
import signal

import pytest

from chaos import Blackhole, Down, Latency, inject
from chaos.errors import LabError
from chaos.lab import Lab
from chaos.probes import Answer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
def test_the_last_way_to_heal_is_to_restart_toxiproxy(lab_of_its_own: Lab, number: signal.Signals) -> None:
    """The fault is gone and every edge answers through the new one, although the old one never answered again."""
    lab = lab_of_its_own
    effect = inject(Latency(delay_ms=2000), lab, "user.web")
    os.kill(lab.stack.processes["toxiproxy"].pid, number)
    effect.heal()
    assert lab.stack.processes["toxiproxy"].status() is None
    assert [edge.probe().answer for edge in lab.edges()] == [Answer.ANSWERED] * len(lab.edges())
    assert not any(edge.proxy.toxics() for edge in lab.edges())


def test_a_restart_that_heals_one_fault_ends_the_others_and_says_so(lab_of_its_own: Lab) -> None:
    """No experiment goes on as if its other fault were still there."""
    lab = lab_of_its_own
    inject(Blackhole(), lab, "web.redis")
    first = inject(Down(), lab, "user.web")
    os.kill(lab.stack.processes["toxiproxy"].pid, signal.SIGSTOP)
    first.heal()
    with pytest.raises(LabError, match="undone by restarting Toxiproxy, and others that were there are gone"):
        lab.keeper.check()
