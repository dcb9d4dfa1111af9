"""How long after healing the platform is itself again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaos.checkers.finding import judged
from chaos.clock import NS_PER_S
from chaos.history import FaultWindow, History, Operation, Outcome
from chaos.results.model import Finding, Verdict


def recovered(
    check: str, history: History, backs: Iterable[tuple[FaultWindow, int | None]], within_s: float, verb: str
) -> Finding:
    """Whether all was well again at most *within_s* seconds after each healing; the slowest counts.

    What never came back is REFUTED when the run went on for that long, and shows nothing when it
    ended sooner: INVALID.

    Args:
        backs: each fault, and when what it broke was back; None for never.
        verb: what it did then, such as "worked again".
    """
    waits = [(back is None, _since(fault, history.end_ns if back is None else back)) for fault, back in backs]
    late = [wait > within_s or (never and wait == within_s) for never, wait in waits]
    cut_short = [wait for never, wait in waits if never and wait < within_s]
    if cut_short and not any(late):
        says = f"not {verb} when the run ended {min(cut_short):.2f} s after healing, {within_s:g} s allowed"
        return Finding(check=check, verdict=Verdict.INVALID, says=says, checked=0)
    longest_s = max((wait for _, wait in waits), default=0.0)
    never = [wait for never, wait in waits if never]
    took = f"never {verb} in the {max(never):.2f} s" if never else f"{verb} {longest_s:.2f} s"
    return judged(
        check,
        holds=not any(late),
        checked=len(waits),
        says=f"{took} after healing, {within_s:g} s allowed",
        measured={"recovery_s": longest_s},
    )


def _since(fault: FaultWindow, time_ns: int) -> float:
    return (time_ns - fault.heal_sent_ns) / NS_PER_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Steady:
    """At most *within_s* seconds after healing a share *at_least* of the operations is good, and stays so.

    Good is what is ok within *within_ms* milliseconds (goodput). The time is that of the last
    window of *window_s* seconds whose share was too small: a platform that works again once and
    falls back has not recovered.
    """

    operation: str
    at_least: float
    within_s: float
    within_ms: float = 1000.0
    window_s: float = 0.5

    def __call__(self, history: History) -> Finding:
        """Judge *history* after its last healing."""
        healed_ns = max((fault.healed_ns for fault in history.faults), default=0)
        after = [o for o in history.of(self.operation) if o.start_ns >= healed_ns and history.faults]
        window_ns = int(self.window_s * NS_PER_S)
        bad = [end for end, share in self._shares(after, healed_ns, window_ns) if share < self.at_least]
        took_s = (max(bad, default=healed_ns) - healed_ns) / NS_PER_S
        length_s = (history.end_ns - healed_ns) / NS_PER_S
        return judged(
            f"{self.operation} is steady again",
            holds=took_s <= self.within_s,
            checked=len(after) if length_s >= self.within_s + self.window_s else 0,
            says=f"{self.at_least:.0%} good for the rest of the run from {took_s:.1f} s after healing on, "
            f"{self.within_s:g} s allowed",
            measured={"steady_s": took_s},
        )

    def _shares(self, operations: list[Operation], start_ns: int, window_ns: int) -> list[tuple[int, float]]:
        """End of each window that has operations, and the share of good ones in it."""
        windows: dict[int, list[bool]] = {}
        for o in operations:
            good = o.outcome is Outcome.OK and o.latency_ns <= self.within_ms * NS_PER_S / 1000
            windows.setdefault((o.start_ns - start_ns) // window_ns, []).append(good)
        return [(start_ns + (n + 1) * window_ns, sum(seen) / len(seen)) for n, seen in sorted(windows.items())]
