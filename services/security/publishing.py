"""Background work: signing keys are kept loaded, and revocations published for the gateway."""

# ruff: noqa: ANN401 - rows of the driver are untyped

import asyncio
import logging
import time
from typing import Any

from services.drivers.redis_store import RedisStore
from services.resilience import Deadline, ResilienceError
from services.security import sql
from services.security.keys import KeyRing, Sealer, SigningKey, make
from services.security.store import Store
from services.web.tokens import ACCESS_S

log = logging.getLogger(__name__)
REVOCATIONS = "revocations"
MARK = "revocations:complete"
AHEAD = 4  # refreshes
EAGER_S = 0.2
ROUND_S = 2.0


class KeyKeeper:
    """Load the signing keys, and make the first one.

    A new key is published some time before it signs: every instance of this service reads the
    keys, and everybody who verifies fetches them, several times meanwhile.
    """

    def __init__(self, store: Store, ring: KeyRing, sealer: Sealer, *, refresh_s: float) -> None:
        """Keep *ring* loaded from *store*, every *refresh_s* seconds as everybody else does."""
        self._store = store
        self._refresh_s = refresh_s
        self._ring = ring
        self._sealer = sealer

    async def run(self) -> None:
        """Reload for ever: other instances rotate keys too."""
        while True:
            try:
                await self.load()
            except ResilienceError as error:
                log.info("the signing keys cannot be read yet: %s", error)
            await asyncio.sleep(self._refresh_s if self._ring.ready else EAGER_S)

    async def load(self) -> None:
        """Load the keys once, making the first one if there is none."""
        deadline = Deadline.after(ROUND_S, time.monotonic)
        found = await self._read(deadline)
        if not found:
            await self._store.write(sql.FIRST_KEY, self._new(), deadline, safe=True)
            found = await self._read(deadline)
        self._ring.load(found)

    async def rotate(self, actor: str, deadline: Deadline) -> str:
        """Retire the signing key in favour of a new one, publish it, and return its id."""
        values = {**self._new(), "actor": actor}
        await self._store.write(sql.ROTATE_KEY, values, deadline)
        await self.load()
        return str(values["kid"])

    async def _read(self, deadline: Deadline) -> list[SigningKey]:
        found = await self._store.read(sql.KEYS, {"access_life": ACCESS_S, "ahead": AHEAD * self._refresh_s}, deadline)
        return [
            SigningKey(kid=kid, public=public, private=self._sealer.open(bytes(sealed)))
            for kid, public, sealed in found
        ]

    def _new(self) -> dict[str, Any]:
        key = make()
        if key.private is None:  # pragma: no cover - a new key has its private part
            raise AssertionError
        return {"kid": key.kid, "public": key.public, "sealed": self._sealer.seal(key.private)}


class RevocationPublisher:
    """Copy the revocations that matter from the record to Redis, where the gateway reads them.

    The mark says that the copy is complete, and when the record was read for it: a Redis that
    lost its data has no mark, and a copy that nobody renews grows old.
    """

    def __init__(self, store: Store, redis: RedisStore, *, pause_s: float) -> None:
        """Publish every *pause_s* seconds, or at once after `kick`."""
        self._store = store
        self._redis = redis
        self._pause_s = pause_s
        self._kicked = asyncio.Event()

    def kick(self) -> None:
        """Say that something was revoked."""
        self._kicked.set()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            try:
                await self.once()
            except ResilienceError as error:
                log.info("revocations cannot be published now: %s", error)
            try:
                async with asyncio.timeout(self._pause_s):
                    await self._kicked.wait()
                self._kicked.clear()
            except TimeoutError:
                continue

    async def once(self) -> None:
        """Publish what is recorded now."""
        deadline = Deadline.after(ROUND_S, time.monotonic)
        read_at = time.time()
        found = await self._store.read(sql.REVOCATIONS, {}, deadline)
        members = {f"{subject}|{not_before}": expires for subject, not_before, expires in found}

        async def publish(redis: Any) -> None:
            pipeline = redis.pipeline(transaction=True)
            if members:
                pipeline.zadd(REVOCATIONS, members)
            pipeline.zremrangebyscore(REVOCATIONS, "-inf", time.time())
            pipeline.set(MARK, repr(read_at))
            await pipeline.execute()

        await self._redis.ask(publish, deadline, safe=True)
