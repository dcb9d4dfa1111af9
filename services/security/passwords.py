"""Password hashing on threads of its own: a flood of logins cannot starve the rest."""

import time

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.drivers.workers import Workers
from services.profiles import Profile
from services.resilience import Bulkhead, BulkheadPolicy, Deadline

THREADS = 2
WAIT_S = 0.25


class Passwords:
    """Hash and check passwords with argon2id."""

    def __init__(self, profile: Profile, *, bulkhead: bool = True) -> None:
        """With *bulkhead* off the work is done where the requests are served."""
        self._hasher = PasswordHasher(
            time_cost=profile.argon2_rounds, memory_cost=profile.argon2_memory_kib, parallelism=1
        )
        self._workers = Workers("argon2", THREADS) if bulkhead else None
        self._bulkhead = Bulkhead(BulkheadPolicy(limit=THREADS, wait_s=WAIT_S), self._note_refusal)
        self.refused = 0
        self._nobody: str | None = None

    async def hash(self, password: str, deadline: Deadline) -> str:
        """Return the hash to be stored."""
        if self._workers is None:
            return self._hasher.hash(password)
        async with self._bulkhead.slot(deadline):
            return await self._workers.run(lambda: self._hasher.hash(password))

    async def check(self, password: str, stored: str | None, deadline: Deadline) -> bool:
        """Tell whether *password* is the one; takes as long for a user that does not exist."""
        if self._workers is None:
            return self._check(password, stored)
        async with self._bulkhead.slot(deadline):
            return await self._workers.run(lambda: self._check(password, stored))

    def _note_refusal(self) -> None:
        self.refused += 1

    def _check(self, password: str, stored: str | None) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash(str(time.monotonic()))
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None
