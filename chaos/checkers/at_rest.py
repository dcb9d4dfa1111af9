"""Stores at rest: what holds the truth, and what must agree with it once everything is healed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chaos.checkers.anomalies import Anomaly
from chaos.checkers.finding import judged, of_data
from chaos.clock import NS_PER_S
from chaos.errors import HistoryError
from chaos.history import History, Snapshot
from chaos.history.columns import identity
from chaos.results.model import Finding, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class AtRest:
    """Some time after healing, caches and copies agree with the store that holds the truth.

    A cache may lack an entry, a copy may not. Snapshots of the stores are in
    ``History.snapshots``; the last one decides, and the first from which on all agree gives the
    convergence time.

    Attributes:
        truth: the store that is right by definition, such as "postgres".
        caches, copies: the stores that must agree with it.
        within_s: how long after the last healing they may take.
    """

    truth: str
    caches: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    within_s: float | None = None

    def __call__(self, history: History) -> Finding:
        """Judge *history*; INVALID without a snapshot, or when a store had nothing that could be compared.

        Raises:
            HistoryError: a snapshot lacks one of the stores.
        """
        check = f"{', '.join((*self.caches, *self.copies))} agree with {self.truth} at rest"
        healed_ns = max((f.healed_ns for f in history.faults), default=history.start_ns)
        rest = [s for s in history.snapshots if s.time_ns >= healed_ns]
        if not rest:
            says = "the stores were not looked at after healing"
            return Finding(check=check, verdict=Verdict.INVALID, says=says, checked=0)
        found = [list(self._compare(snapshot)) for snapshot in rest]
        agreed = next((n for n in range(len(found)) if not any(found[n:])), None)
        took_s = None if agreed is None else (rest[agreed].time_ns - healed_ns) / NS_PER_S
        anomalies = found[-1] or self._late(took_s)
        counts = {name: sum(a.name == name for a in anomalies) for name in {a.name for a in anomalies}}
        compared = self._compared(rest)
        return of_data(
            judged(
                check,
                holds=not anomalies,
                checked=sum(compared) if anomalies or all(compared) else 0,
                says=self._says(anomalies, counts, took_s),
                measured={
                    **({} if took_s is None else {"convergence_s": took_s}),
                    **{name.replace(" ", "_"): n for name, n in sorted(counts.items())},
                },
                witness=[f"{a.name}: {a.says}" for a in anomalies],
            )
        )

    def _compared(self, rest: list[Snapshot]) -> list[int]:
        """For each cache and copy, how many entries could disagree in the fullest of its snapshots."""
        truth = [len(s.stores[self.truth]) for s in rest]
        copies = [max(map(max, truth, (len(s.stores[name]) for s in rest))) for name in self.copies]
        return [*(max(len(s.stores[name]) for s in rest) for name in self.caches), *copies]

    def _says(self, anomalies: list[Anomaly], counts: dict[str, int], took_s: float | None) -> str:
        if not anomalies:
            return f"agreed {took_s:.2f} s after healing"
        return f"{', '.join(f'{n} {name}' for name, n in sorted(counts.items()))}: {anomalies[0].says}"

    def _late(self, took_s: float | None) -> list[Anomaly]:
        if took_s is None or self.within_s is None or took_s <= self.within_s:
            return []
        return [Anomaly("late convergence", f"agreed {took_s:.2f} s after healing, {self.within_s:g} s allowed")]

    def _compare(self, snapshot: Snapshot) -> Iterator[Anomaly]:
        lacking = {self.truth, *self.caches, *self.copies} - snapshot.stores.keys()
        if lacking:
            there = ", ".join(sorted(snapshot.stores)) or "none"
            msg = f"a snapshot lacks the store {', '.join(sorted(lacking))}; there are: {there}"
            raise HistoryError(msg)
        truth = snapshot.stores[self.truth]
        for name in (*self.caches, *self.copies):
            held = snapshot.stores[name]
            extra = "dangling cache entry" if name in self.caches else "orphan"
            for key in sorted(held.keys() | truth.keys()):
                if key not in truth:
                    yield Anomaly(extra, f"{name} holds {key!r}, which {self.truth} does not")
                elif key not in held and name in self.copies:
                    yield Anomaly("divergence", f"{name} lacks {key!r}, which {self.truth} holds")
                elif key in held and identity(held[key]) != identity(truth[key]):
                    says = f"{name} holds {held[key]!r} under {key!r}, {self.truth} holds {truth[key]!r}"
                    yield Anomaly("divergence", says)
