"""A bounded store of last known values, for when the source cannot be asked."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.resilience.deadline import Clock

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Known(Generic[T]):
    """A value, its version, and the moment it was known to be true."""

    value: T
    version: int
    at: float


class StaleCache(Generic[T]):
    """Keep the newest version per key, at most *size* keys, none older than *hard_ttl_s*."""

    def __init__(self, *, size: int, hard_ttl_s: float, clock: Clock, versioned: bool = True) -> None:
        """Start empty. With *versioned* off, whatever comes last wins, older or not."""
        self._size = size
        self._hard_ttl_s = hard_ttl_s
        self._clock = clock
        self._versioned = versioned
        self._known: OrderedDict[Hashable, Known[T]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of keys held."""
        return len(self._known)

    def put(self, key: Hashable, value: T, version: int, *, age_s: float = 0.0) -> None:
        """Remember *value*, unless a newer version is known already."""
        known = self._known.get(key)
        if known is not None and self._versioned and known.version > version:
            return
        self._known[key] = Known(value=value, version=version, at=self._clock() - age_s)
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)

    def get(self, key: Hashable) -> Known[T] | None:
        """Return what is known about *key*, unless it is older than the hard limit."""
        known = self._known.get(key)
        if known is not None and self.age_s(known) > self._hard_ttl_s:
            del self._known[key]
            return None
        return known

    def age_s(self, known: Known[T]) -> float:
        """Return how long ago *known* was true."""
        return max(0.0, self._clock() - known.at)

    def drop(self, key: Hashable) -> None:
        """Forget *key*."""
        self._known.pop(key, None)
