"""Background work: what has expired is forgotten, a bounded batch at a time."""

import asyncio
import logging
import time

from services.resilience import Deadline, ResilienceError
from services.security import sql
from services.security.store import Store

log = logging.getLogger(__name__)
BATCH = 1000
PURGE_S = 600.0
BREATH_S = 0.1
ROUND_S = 2.0


class Purger:
    """Remove expired refresh tokens and revocations, and keys retired long ago: nothing asks for them any more."""

    def __init__(self, store: Store, *, batch: int = BATCH) -> None:
        """Remove at most *batch* rows of a table in one statement, so that nobody waits for it."""
        self._store = store
        self._batch = batch
        self.purged = 0

    async def run(self) -> None:
        """Purge now and every ten minutes, batch after batch while there is more."""
        while True:
            try:
                more = await self.once()
            except ResilienceError as error:
                log.info("what has expired cannot be purged now: %s", error)
                more = False
            await asyncio.sleep(BREATH_S if more else PURGE_S)

    async def once(self) -> bool:
        """Remove one batch of each table; tell whether there may be more."""
        deadline = Deadline.after(ROUND_S, time.monotonic)
        removed = [
            (await self._store.write(statement, {"most": self._batch}, deadline, safe=True))[0][0]
            for statement in (sql.PURGE_TOKENS, sql.PURGE_REVOCATIONS, sql.PURGE_KEYS)
        ]
        self.purged += sum(removed)
        return max(removed) == self._batch
