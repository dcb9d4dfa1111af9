"""Faults on edges: each is seen on the wire, and nothing of it is left after the heal."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from chaos import (
    Bandwidth,
    Blackhole,
    Down,
    Freeze,
    HalfOpen,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    at,
    inject,
    rearmed,
    together,
)
from chaos.clock import wait_for
from chaos.config import Protocol
from chaos.errors import HealError, UnknownNameError, UsageError
from chaos.faults.fault import Fault
from chaos.guard import log
from chaos.guard.undo import RemoveToxic
from chaos.lab import Edge, Lab
from chaos.probes import Answer

EDGE = "web.redis"
pytestmark = pytest.mark.integration

FAULTS = [
    Latency(delay_ms=60),
    Blackhole(),
    HalfOpen(),
    Down(),
    ResetPeer(),
    ResetPeer(stream="upstream"),
    ResetPeer(after_ms=30, drop_open=False),
    Bandwidth(rate_kbps=16),
    LimitData(bytes=40),
    Slicer(average_bytes=8, variation_bytes=4, delay_us=200),
    SlowClose(delay_ms=60),
    Freeze(),
    Freeze(heals=False),
]


@contextmanager
def connection(edge: Edge) -> Iterator[socket.socket]:
    """A connection through the proxy."""
    with socket.create_connection((edge.listen.host, edge.listen.port), timeout=2) as opened:
        yield opened


def ask(opened: socket.socket) -> bytes:
    """One question to Redis and its answer; b"" when the other side closed."""
    opened.sendall(b"PING\r\n")
    return opened.recv(64)


@pytest.mark.parametrize("edge", ["web.redis", "web.postgres", "user.web"])
@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_fault_bites_and_heals_whatever_is_spoken(lab: Lab, fault: Fault, edge: str) -> None:
    """Measured by a probe in the edge's protocol; afterwards the proxy is as configured."""
    effect = inject(fault, lab, edge)
    bites = effect.bite()
    assert bites
    assert all(bite.held for bite in bites), bites
    effect.heal()
    assert all(bite.held for bite in effect.bite_later()), bites
    proxy = lab.edge(edge).proxy
    assert proxy.enabled
    assert proxy.toxics() == {}
    lab.prove_healed(lab.edge(edge))


@pytest.mark.parametrize("protocol", ["redis", "tcp"])
def test_an_edge_that_answers_through_a_toxic_is_not_healed(lab: Lab, protocol: Protocol) -> None:
    """A little latency answers every probe, and anything lets a connect through: Toxiproxy itself is asked."""
    edge = replace(lab.edge(EDGE), protocol=protocol)
    lab.prove_healed(edge)
    edge.proxy.add_toxic(type="latency", name="mine", attributes={"latency": 1, "jitter": 0})
    with pytest.raises(HealError, match=r"web\.redis still has latency\(latency=1, jitter=0\)"):
        lab.prove_healed(edge)


def test_what_another_runner_still_owes_may_be_there(lab: Lab) -> None:
    """Its fault is its own to heal, and in its undo log."""
    edge = lab.edge(EDGE)
    book = log.UndoLog.create(lab.config.root, lab.recorded)
    book.enter(1, RemoveToxic(toxiproxy=lab.toxiproxy.url, proxy=EDGE, toxic="theirs"), 60)
    edge.proxy.add_toxic(type="latency", name="theirs", attributes={"latency": 1, "jitter": 0})
    lab.prove_healed(edge)
    book.strike(1, "undone")
    book.close(remove=True)
    with pytest.raises(HealError, match="still has latency"):
        lab.prove_healed(edge)


def test_a_refused_edge_cannot_be_seen_to_be_frozen(lab: Lab) -> None:
    """The freeze beneath it has not bitten, and that is a finding and no failure."""
    with lab.edge(EDGE).proxy.down():
        effect = inject(Freeze(), lab, EDGE)
        (bite,) = effect.bite()
        effect.heal()
    assert not bite.held
    assert "refused" in bite.measured


@pytest.mark.parametrize("fault", [ResetPeer(toxicity=0.3)], ids=repr)
def test_a_fault_of_some_toxicity_says_how_sure_its_evidence_is(lab: Lab, fault: Fault) -> None:
    """It probes until a connection is hit."""
    effect = inject(fault, lab, EDGE)
    (bite,) = effect.bite()
    assert bite.held
    assert "of at most 39 (all miss with chance 1e-06)" in bite.measured
    effect.heal()


def test_a_fault_that_is_healed_does_not_bite(lab: Lab) -> None:
    """The evidence is measured, not assumed."""
    effect = inject(Latency(delay_ms=60), lab, EDGE)
    effect.heal()
    (bite,) = effect.bite()
    assert not bite.held
    assert "answered after" in bite.measured


def test_reset_peer_closes_pooled_connections_once_and_resets_the_next(lab: Lab) -> None:
    """An idle connection of a pool learns of it at once."""
    edge = lab.edge(EDGE)
    with connection(edge) as pooled:
        ask(pooled)
        effect = inject(ResetPeer(), lab, EDGE)
        assert pooled.recv(64) == b""
    with connection(edge) as dialled, pytest.raises(ConnectionResetError):
        ask(dialled)
    effect.heal()


def test_reset_peer_can_leave_open_connections_alone(lab: Lab) -> None:
    """With drop_open=False an idle one stays; its next reply is its last."""
    with connection(lab.edge(EDGE)) as pooled:
        ask(pooled)
        effect = inject(ResetPeer(drop_open=False), lab, EDGE)
        pooled.settimeout(0.1)
        with pytest.raises(TimeoutError):
            pooled.recv(64)
        assert ask(pooled) == b""
    effect.heal()


def test_a_rearmed_fault_hits_the_survivors(lab: Lab) -> None:
    """A connection that was spared at first is reset before long."""
    effect = inject(rearmed(ResetPeer(toxicity=0.5), every_ms=10), lab, EDGE)

    def dies() -> bool:
        with connection(lab.edge(EDGE)) as opened:
            try:
                if not ask(opened):
                    return False
                wait_for(lambda: not ask(opened), what="it dies", within_s=5)
            except ConnectionResetError:
                return True
            return False

    wait_for(dies, what="a connection that worked is reset", within_s=5)
    effect.heal()
    assert lab.edge(EDGE).proxy.toxics() == {}


@pytest.mark.parametrize(("ends", "held"), [(1, True), (1000, False)])
def test_connections_that_must_end_are_counted_in_the_kernel(lab: Lab, ends: int, *, held: bool) -> None:
    """A pooled connection dies with the fault's beginning; a thousand do not."""
    with connection(lab.edge(EDGE)) as pooled:
        ask(pooled)
        effect = inject(rearmed(ResetPeer(), every_ms=10, ends=ends), lab, EDGE)
        assert pooled.recv(64) == b""
    wait_for(lambda: effect._watched.ended, what="it is seen to have ended", within_s=5)  # type: ignore[attr-defined]
    effect.heal()
    (bite,) = effect.bite_later()
    assert bite.held is held, bite


def test_what_the_guard_has_healed_is_not_armed_again(lab: Lab) -> None:
    """The thread stops when its fault is not owed any more."""
    effect = inject(rearmed(ResetPeer(toxicity=0.5), every_ms=10), lab, EDGE)
    for number in [*lab.keeper._owed]:
        lab.keeper.undo(number)
    effect.heal()
    assert lab.edge(EDGE).proxy.toxics() == {}


def test_only_what_is_drawn_can_be_drawn_anew(lab: Lab) -> None:
    """The error says what may be meant."""
    with pytest.raises(UsageError, match="flapping may be meant"):
        inject(rearmed(Down()), lab, EDGE)


def test_faults_together_have_targets_of_their_own(lab: Lab) -> None:
    """One is on the edge that is named, the other where it says."""
    effect = inject(together(Latency(delay_ms=60), at("web.postgres", Down())), lab, EDGE)
    assert effect.on == {EDGE, "web.postgres"}
    assert [(bite.on, bite.held) for bite in effect.bite()] == [(EDGE, True), ("web.postgres", True)]
    effect.heal()
    assert lab.edge("web.postgres").probe().answer is Answer.ANSWERED


def test_together_is_all_or_nothing(lab: Lab) -> None:
    """When the second cannot be injected, the first is healed."""
    with pytest.raises(UnknownNameError):
        inject(together(Down(), at("nobody.*", Down())), lab, EDGE)
    lab.prove_healed(lab.edge(EDGE))


def test_overlapping_faults_of_a_kind_are_healed_one_by_one(lab: Lab) -> None:
    """The edge stays down until the last is healed, and slow until the last is healed."""
    for fault in (Down(), Latency(delay_ms=60), Blackhole(), ResetPeer()):
        first, second = inject(fault, lab, EDGE), inject(fault, lab, EDGE)
        first.heal()
        assert all(bite.held for bite in second.bite()), fault
        second.heal()
        lab.prove_healed(lab.edge(EDGE))
