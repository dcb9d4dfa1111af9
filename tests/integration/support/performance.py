"""How long things take: for one test, and for the table at the end of the run."""

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

TARGETS: Final = {
    "Widget Creation": 1.0,
    "Widget Update": 0.5,
    "Widget Delete": 0.5,
    "ORB Call": 0.5,
    "Bulk Operations (100x)": 10.0,
    "Widget List": 0.5,
    "Cached Read": 0.2,
    "Uncached Read": 0.5,
    "Login": 0.5,
    "Token Refresh": 0.5,
    "Health": 0.1,
    "Metrics": 0.2,
}
"""The table of targets: seconds by operation.

Each is the time of one request through the gateway, from sending it to having the answer: a creation, an update (PATCH)
and a deletion carry an Idempotency-Key, and bulk is the answer to a hundred creations in one request. An ORB call is a
read of a native object, asked of Widget Core itself.
"""

Samples = dict[str, list[float]]


class PerformanceTracker:
    """Measures a stretch of a test, and single operations of the table of targets, for one test."""

    def __init__(self) -> None:
        self.samples: Samples = defaultdict(list)
        self._began: float | None = None
        self._ended: float | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._began, self._ended = time.perf_counter(), None

    def stop(self) -> float:
        """End the measurement, and return its seconds; raises RuntimeError when none was begun."""
        if self._began is None:
            msg = "performance_tracker.stop() without a start()"
            raise RuntimeError(msg)
        self._ended = time.perf_counter()
        return self.duration

    @property
    def duration(self) -> float:
        """Seconds between start and stop; raises RuntimeError when one of them is missing."""
        if self._began is None or self._ended is None:
            msg = "performance_tracker has measured nothing: call start() and stop() first"
            raise RuntimeError(msg)
        return self._ended - self._began

    def assert_duration_under(self, seconds: float, message: str = "too slow") -> None:
        """Fail unless what was measured took less than *seconds*."""
        assert self.duration < seconds, f"{message}: took {self.duration:.3f} s, expected under {seconds:g} s"

    @contextmanager
    def measure(self, operation: str) -> Iterator[None]:
        """Take the time of one *operation* of the table."""
        began = time.perf_counter()
        yield
        self.samples[operation].append(time.perf_counter() - began)

    def percentile(self, operation: str, share: float) -> float:
        """The seconds that *share* of the samples of *operation* stay within."""
        return percentile(self.samples[operation], share)


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest of *samples* that at least *share* of them do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def merge(into: Samples, more: Mapping[str, Iterable[float]]) -> None:
    """Add the samples of another process."""
    for operation, samples in more.items():
        into.setdefault(operation, []).extend(samples)


def table(samples: Mapping[str, Sequence[float]]) -> list[str]:
    """The table of targets with what was measured beside it, as lines of text."""
    lines = [f"{'Operation':<24}{'Target':>10}{'p50':>12}{'p99':>12}{'n':>7}"]
    for operation, target in TARGETS.items():
        found = samples.get(operation, ())
        p50, p99 = (f"{percentile(found, share) * 1000:.1f} ms" if found else "-" for share in (0.5, 0.99))
        goal = f"< {target:g} s" if target >= 1 else f"< {target * 1000:g} ms"
        lines.append(f"{operation:<24}{goal:>10}{p50:>12}{p99:>12}{len(found):>7}")
    return lines
