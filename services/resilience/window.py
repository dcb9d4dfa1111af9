"""Counts of the last few seconds, in a ring of buckets."""

from dataclasses import dataclass, field

BUCKETS = 10


@dataclass(kw_only=True, slots=True)
class Tally:
    """Calls, and how many of them failed or were slow."""

    calls: int = 0
    failures: int = 0
    slow: int = 0

    def add(self, *, failed: bool, slow: bool) -> None:
        """Count one call."""
        self.calls += 1
        self.failures += failed
        self.slow += slow


@dataclass(kw_only=True, slots=True)
class SlidingWindow:
    """A `Tally` over the last *span_s* seconds; old buckets drop out one by one."""

    span_s: float
    _ring: dict[int, Tally] = field(default_factory=dict)

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count one call that ended at *now*."""
        self._forget(now)
        self._ring.setdefault(self._slot(now), Tally()).add(failed=failed, slow=slow)

    def total(self, now: float) -> Tally:
        """Return the sum over the window that ends at *now*."""
        self._forget(now)
        sums = Tally()
        for bucket in self._ring.values():
            sums.calls += bucket.calls
            sums.failures += bucket.failures
            sums.slow += bucket.slow
        return sums

    def clear(self) -> None:
        """Forget everything."""
        self._ring.clear()

    def _slot(self, now: float) -> int:
        return int(now * BUCKETS / self.span_s)

    def _forget(self, now: float) -> None:
        oldest = self._slot(now) - BUCKETS
        for slot in [slot for slot in self._ring if slot <= oldest]:
            del self._ring[slot]
