"""Whatever is injected, healed, overlaps or loses its injector: at the end Toxiproxy is as configured.

And every process runs. Runners that really die by SIGKILL are in ``tests/lab/test_guard.py``.
"""

from collections.abc import Sequence
from signal import SIGKILL
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos import (
    Bandwidth,
    Blackhole,
    Down,
    Freeze,
    HalfOpen,
    Kill,
    Latency,
    LimitData,
    Pause,
    ResetPeer,
    Restart,
    Slicer,
    SlowClose,
    at,
    flapping,
    in_turn,
    inject,
    ramp,
    rearmed,
    together,
)
from chaos.faults.fault import Effect, Fault, Injection
from chaos.guard.undo import Enable, RemoveToxic, Resume, Start
from chaos.lab import Lab

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIMPLE: Sequence[Fault] = (
    Bandwidth(rate_kbps=16),
    Blackhole(),
    Down(),
    Freeze(),
    HalfOpen(toxicity=0.5),
    Latency(delay_ms=20),
    LimitData(bytes=40),
    ResetPeer(),
    ResetPeer(drop_open=False),
    Slicer(average_bytes=8),
    SlowClose(delay_ms=20),
)
COMPOSED: Sequence[Fault] = (
    together(Latency(delay_ms=20), at("web.postgres", Down())),
    rearmed(ResetPeer(toxicity=0.3), every_ms=10),
    flapping(Down(), on_ms=50, off_ms=50),
    flapping(together(HalfOpen(), Down()), on_ms=50, off_ms=50),
    in_turn(Down(), ResetPeer(), each_s=0.05),
    ramp([Latency(delay_ms=20), Latency(delay_ms=40)], every_s=0.05),
)
GLOBS = ("web.redis", "web.postgres", "web.*", "*")
ON_PROCESSES: Sequence[Fault] = (Kill(), Pause(), Restart(), Restart(signal=SIGKILL))
PROCESSES = ("redis", "web")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("inject"), st.sampled_from([*SIMPLE, *COMPOSED]), st.sampled_from(GLOBS)),
        st.tuples(st.just("inject"), st.sampled_from(ON_PROCESSES), st.sampled_from([*PROCESSES, "*e*"])),
        st.tuples(st.sampled_from(["heal", "lose"]), st.integers(0, 9)),
    ),
    max_size=8,
)


@settings(max_examples=100)
@given(steps=steps)
def test_at_the_end_toxiproxy_is_as_configured(one_lab: Lab, steps: list[Any]) -> None:
    """After each heal, what others hold is still there; after the last, nothing is."""
    effects: list[Effect] = []
    try:
        for step in steps:
            if step[0] == "inject":
                effects.append(inject(step[1], one_lab, step[2]))
            elif effects and step[0] == "heal":
                effects.pop(step[1] % len(effects)).heal()
            elif effects:
                lose(effects.pop(step[1] % len(effects)))
            for effect in effects:
                assert_in_effect(one_lab, effect)
            assert_processes_as_owed(one_lab)
    finally:
        for effect in effects:
            lose(effect)
        for number in [*one_lab.keeper._owed]:  # as the guard does for a runner that is gone
            one_lab.keeper.undo(number)
    assert_as_configured(one_lab)
    assert_processes_as_owed(one_lab)


@settings(max_examples=60)
@given(pair=st.tuples(st.sampled_from(SIMPLE), st.sampled_from(SIMPLE)), first=st.integers(0, 1))
def test_no_two_faults_on_one_edge_heal_each_other(one_lab: Lab, pair: tuple[Fault, Fault], first: int) -> None:
    """Whichever is healed first, the other is still there."""
    effects = [inject(fault, one_lab, "web.redis") for fault in pair]
    effects[first].heal()
    assert_in_effect(one_lab, effects[1 - first])
    effects[1 - first].heal()
    assert_as_configured(one_lab)


def lose(effect: Effect) -> None:
    """What the death of its process does to an effect: nothing is healed, and its thread is gone."""
    if background := getattr(effect, "_background", None):
        background.stop()
    for part in getattr(effect, "_effects", ()):
        lose(part)


def assert_in_effect(lab: Lab, effect: Effect) -> None:
    """Every change of a simple fault is there."""
    for undo in (change.undo for change in effect.changes) if isinstance(effect, Injection) else ():
        if isinstance(undo, RemoveToxic) and not undo.toxic.startswith("drop-"):
            assert undo.toxic in lab.edge(undo.proxy).proxy.toxics()
        elif isinstance(undo, Enable):
            assert not lab.edge(undo.proxy).proxy.enabled


def assert_processes_as_owed(lab: Lab) -> None:
    """Each process is dead as long as a kill is owed, else paused as long as a pause is, else it runs."""
    owed = lab.keeper.left()
    expected = {
        name: "ended" if Start(process=name) in owed else "paused" if Resume(process=name) in owed else "running"
        for name in lab.processes.names()
    }
    assert {name: str(lab.processes.look(name)).split()[0] for name in expected} == expected


def assert_as_configured(lab: Lab) -> None:
    """Every proxy has its addresses, listens, and has no toxic; there is no other."""
    held = lab.toxiproxy.proxies()
    assert {name: (p.listen, p.upstream, p.enabled, p.toxics()) for name, p in held.items()} == {
        name: (spec.listen, spec.upstream, True, {}) for name, spec in lab.stack.proxies.items()
    }
    for edge in lab.edges():
        lab.prove_healed(edge)
