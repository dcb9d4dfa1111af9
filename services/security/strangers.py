"""Addresses that nobody has registered: locked out like those of users, so that a lock-out tells nothing."""

from collections import OrderedDict
from dataclasses import dataclass

from services.resilience import Clock

REMEMBERED = 10_000


@dataclass(kw_only=True, slots=True)
class _Stranger:
    """The wrong passwords that came for one address, and until when it is locked."""

    failures: int = 0
    locked_until: float = 0.0


class Strangers:
    """Count the logins of unknown addresses, by this process and as far as it remembers."""

    def __init__(self, *, most: int, lock_s: float, clock: Clock) -> None:
        """Lock an address for *lock_s* seconds at its failure number *most*, as a user is."""
        self._most = most
        self._lock_s = lock_s
        self._clock = clock
        self._known: OrderedDict[str, _Stranger] = OrderedDict()

    def locked_s(self, email: str) -> float:
        """Return for how many seconds the address is still locked; 0: it is not."""
        known = self._known.get(email)
        return max(0.0, known.locked_until - self._clock()) if known else 0.0

    def count(self, email: str) -> None:
        """Take note of a wrong password; who was seen longest ago is forgotten when there are too many."""
        stranger = self._known.pop(email, None) or _Stranger()
        self._known[email] = stranger
        stranger.failures += 1
        if stranger.failures >= self._most:
            stranger.failures, stranger.locked_until = 0, self._clock() + self._lock_s
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, email: str) -> None:
        """Forget an address: it belongs to a user now."""
        self._known.pop(email, None)
