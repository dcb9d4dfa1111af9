"""The schema of the database: brought up to date in the background, and then never asked again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from services import migrate
from services.drivers.postgres import Postgres, PostgresConfig
from services.resilience import Deadline, ResilienceError

log = logging.getLogger(__name__)
LOOK_S = 2.0
PAUSE_S = 0.5


class Schema:
    """Whether the schema is there. The service serves meanwhile, and says that it is degraded."""

    def __init__(self, config: PostgresConfig, pool: Postgres) -> None:
        """Look with *pool*; migrate over a connection of its own to *config*."""
        self._config = config
        self._pool = pool
        self._there = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Tell whether the schema is up to date."""
        return self._there.is_set()

    def then(self, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Return *work* that begins when the schema is there."""

        async def run() -> None:
            await self._there.wait()
            await work()

        return run

    async def ensure(self) -> None:
        """Look until the schema is up to date, migrating if it is not."""
        while not self.ready:
            try:
                if await self._pool.run(migrate.at_head, Deadline.after(LOOK_S, time.monotonic)):
                    self._there.set()
                else:
                    await asyncio.to_thread(migrate.run, self._config)
            except ResilienceError as error:
                log.info("the schema cannot be looked at yet: %s", error)
                await asyncio.sleep(PAUSE_S)
            except Exception:
                log.exception("the schema could not be migrated")
                await asyncio.sleep(PAUSE_S)
