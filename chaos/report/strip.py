"""The verdict in a strip of words: what was measured, and what was not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaos.checkers.clients import STALE
from chaos.checkers.metrics import ATTEMPTS, BREAKER, CALLS, OPEN
from chaos.clock import NS_PER_S
from chaos.history import Outcome
from chaos.report.run import Run
from chaos.report.sampled import Sampled
from chaos.report.services import broken_edges, stretches
from chaos.results.model import Finding

NOT_MEASURED: Final = "not measured"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One figure of the strip: its name, its value in words and, in small, what it is made of."""

    name: str
    value: str
    detail: str = ""


def strip(run: Run, sampled: Sampled) -> tuple[Tile, ...]:
    """The figures of one scenario, from what the checkers measured, else from the history."""
    return (
        _opened(run, sampled),
        _recovered(run),
        _failed(run),
        _amplified(run, sampled),
        _lost(run),
        _stale(run),
        _undone(run),
    )


def _measured(run: Run, *names: str) -> list[tuple[float, Finding]]:
    """The values that findings measured under one of the names."""
    return [(f.measured[n], f) for f in run.result.findings if f.checked for n in names if n in f.measured]


def _opened(run: Run, sampled: Sampled) -> Tile:
    name = "Time to open"
    found = _measured(run, "opened_s")
    if found:
        never = sum(int(f.measured.get("never", 0)) for _, f in found)
        if never:
            return Tile(
                name=name, value="never opened", detail=f"in {never} of {sum(f.checked for _, f in found)} faults"
            )
        return Tile(name=name, value=f"{max(v for v, _ in found):.2f} s", detail="slowest breaker, known to ± 0.1 s")
    opened = list(_first_open(run, sampled))
    if opened:
        return Tile(name=name, value=f"{min(opened):.2f} s", detail="first breaker on a broken edge; not checked")
    return Tile(name=name, value=NOT_MEASURED, detail="no breaker was seen open")


def _first_open(run: Run, sampled: Sampled) -> Iterator[float]:
    """Seconds from each fault to the first open sample of a breaker on an edge that it broke."""
    broken = broken_edges(run, sampled)
    for edge, tracks in sampled.by(BREAKER, "edge").items():
        if edge not in broken:
            continue
        opened = [s.start_s for s in stretches(tracks) if s.state == OPEN]
        for fault in run.history.faults:
            start_s, end_s = run.s(fault.injected_ns), run.s(fault.heal_sent_ns)
            yield from [at_s - start_s for at_s in opened if start_s <= at_s <= end_s][:1]


def _recovered(run: Run) -> Tile:
    name = "Time to recover"
    if found := _measured(run, "steady_s"):
        return Tile(name=name, value=f"{max(v for v, _ in found):.2f} s", detail="from the undo to steady state")
    if found := _measured(run, "recovery_s"):
        return Tile(name=name, value=f"{max(v for v, _ in found):.2f} s", detail="from the undo to the first ok")
    waits = []
    for fault in run.history.faults:
        back = [o.answered_ns for o in run.history.operations if _ok_after(o.start_ns, o.outcome, fault.healed_ns)]
        waits += [(min(back) - fault.heal_sent_ns) / NS_PER_S] if back else []
    if waits and len(waits) == len(run.history.faults):
        return Tile(name=name, value=f"{max(waits):.2f} s", detail="from the undo to the first ok; not checked")
    return Tile(name=name, value=NOT_MEASURED)


def _ok_after(start_ns: int, outcome: Outcome, after_ns: int) -> bool:
    return outcome is Outcome.OK and start_ns >= after_ns


def _failed(run: Run) -> Tile:
    operations = run.history.operations
    if not operations:
        return Tile(name="Requests failed", value=NOT_MEASURED)
    refused = sum(o.outcome is Outcome.FAIL for o in operations)
    unknown = sum(o.outcome is Outcome.INFO for o in operations)
    share = (refused + unknown) / len(operations)
    return Tile(
        name="Requests failed",
        value=f"{refused + unknown} of {len(operations)}",
        detail=f"{share:.1%}: {refused} refused, {unknown} failed or unknown",
    )


def _amplified(run: Run, sampled: Sampled) -> Tile:
    """Attempts for one operation: by the clients, and by the service that amplified most."""
    operations = run.history.operations
    if not operations:
        return Tile(name="Retries amplified", value=NOT_MEASURED)
    clients = sum(o.attempts for o in operations) / len(operations)
    edges = {e: v for e in sampled.by(ATTEMPTS, "edge") if (v := _ratio(sampled, e)) is not None}
    most = max(edges, key=lambda e: edges[e], default=None)
    detail = f"by clients; on edges {NOT_MEASURED}" if most is None else f"by clients; {edges[most]:.2f} on {most}"
    return Tile(name="Retries amplified", value=f"{clients:.2f} to 1", detail=detail)


def _ratio(sampled: Sampled, edge: str) -> float | None:
    """Attempts per call that was let through, over the whole run; None without such calls."""
    calls = sum(_whole(sampled, CALLS, edge, outcome=o) for o in ("ok", "error", "timeout"))
    return _whole(sampled, ATTEMPTS, edge) / calls if calls > 0 else None


def _whole(sampled: Sampled, metric: str, edge: str, **wanted: str) -> float:
    tracks = sampled.by(metric, "edge", **wanted).get(edge, [])
    return sum(max(0.0, track[-1][1] - track[0][1]) for track in tracks)


def _lost(run: Run) -> Tile:
    name = "Writes lost"
    ledgers = [f for f in run.result.findings if f.checked and "acknowledged" in f.measured]
    if not ledgers:
        return Tile(name=name, value=NOT_MEASURED, detail="no check compared clients with the store")
    lost = sum(v for f in ledgers for k, v in f.measured.items() if k.startswith("lost"))
    acknowledged = sum(f.measured["acknowledged"] for f in ledgers)
    return Tile(name=name, value=f"{lost:g}", detail=f"of {acknowledged:g} acknowledged")


def _stale(run: Run) -> Tile:
    name = "Staleness"
    if found := _measured(run, "oldest_s"):
        return Tile(name=name, value=f"{max(v for v, _ in found):.2f} s", detail="oldest answer that was served")
    if ages := [o.age_s for o in run.history.operations if o.age_s is not None]:
        return Tile(name=name, value=f"{max(ages):.2f} s", detail=f"oldest of {len(ages)} answers that tell their age")
    sources = [o.source for o in run.history.operations if o.source]
    if not sources:
        return Tile(name=name, value=NOT_MEASURED, detail="no answer named its source")
    return Tile(
        name=name, value=NOT_MEASURED, detail=f"{sources.count(STALE)} of {len(sources)} answers were marked stale"
    )


def _undone(run: Run) -> Tile:
    if not run.history.faults:
        return Tile(name="Undo time", value=NOT_MEASURED)
    longest = max(f.healed_ns - f.heal_sent_ns for f in run.history.faults) / NS_PER_S
    value = f"{longest:.2f} s" if longest >= 1 else f"{longest * 1000:.0f} ms"
    return Tile(name="Undo time", value=value, detail="from the undo until proved on the wire")
