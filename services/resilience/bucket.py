"""A token bucket: so many per second, with a burst."""

from collections import OrderedDict
from collections.abc import Hashable

from services.resilience.deadline import Clock


class TokenBucket:
    """Hold up to *burst* tokens, refilled at *rate* per second."""

    def __init__(self, *, rate: float, burst: float, clock: Clock) -> None:
        """Start full."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._seen = clock()

    def take(self) -> bool:
        """Take one token if there is one."""
        self._refill()
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait_s(self) -> float:
        """Return how long until the next token."""
        self._refill()
        return max(0.0, (1.0 - self._tokens) / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._rate)
        self._seen = now


class KeyedBuckets:
    """One `TokenBucket` per key, for at most *size* keys: the longest unused goes first."""

    def __init__(self, *, rate: float, burst: float, clock: Clock, size: int = 10_000) -> None:
        """Start without any."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._size = size
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def of(self, key: Hashable) -> TokenBucket:
        """Return the bucket of *key*, a full one when it is new."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = TokenBucket(rate=self._rate, burst=self._burst, clock=self._clock)
            self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        while len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return bucket
