"""What the safeguards of a Postgres pool do, seen with a real server."""

import asyncio
import threading
import time
from dataclasses import replace

import psycopg2.extensions as ext

from services.drivers.postgres import LockTimeout
from services.profiles import LAB
from services.resilience import AttemptTimeout, BulkheadFull, Deadline, NotSent, OutcomeUnknown
from services.widget_core import sql
from tests.conformance.platform.switches.drivers import CUT_S, LONG, ends_within
from tests.conformance.platform.switches.world import World, ask, silent

TIMES = replace(LAB.postgres, statement_s=5.0, lock_s=0.05, idle_tx_s=0.1, connect_s=5.0, connects_per_s=1.0)


def _pool(world: World, name: str, *more: str, **times: float):
    profile = {"postgres": replace(TIMES, **times)}
    world.build(name.split(".", maxsplit=1)[0], *more, profile=profile, **world.with_stores())
    return world.part("Postgres", name)


def _said(statement: str):
    def work(db):
        with db.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()

    return work


def statement_timeout(world: World, name: str) -> bool:
    """The server itself ends a statement, long before its caller's deadline."""

    async def story():
        try:
            await _pool(world, name, statement_s=0.1).run(_said("SELECT pg_sleep(0.4)"), LONG)
        except AttemptTimeout:
            return True
        return False

    return world.really(story())


def lock_timeout(world: World, name: str) -> bool:
    """Who waits for a lock learns soon that somebody has it."""

    async def story():
        pool = _pool(world, name, statement_s=0.5)
        with world.other() as other:
            other.execute("SELECT pg_advisory_lock(1)")
            try:
                await pool.run(_said("SELECT pg_advisory_lock(1)"), LONG)
            except LockTimeout:
                return True
            except AttemptTimeout:
                return False

    return world.really(story())


def idle_tx_timeout(world: World, name: str) -> bool:
    """The server ends a transaction whose client does nothing: its locks are free."""

    async def story():
        pool, over = _pool(world, name), threading.Event()

        def hold(db):
            db.autocommit = False
            db.cursor().execute("SELECT pg_advisory_xact_lock(2)")
            over.wait(5)

        holding = asyncio.create_task(pool.run(hold, LONG))
        with world.other() as other:
            free = "SELECT NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 2)"
            await _until(lambda: not other.one(free), 2.0)
            freed = await _until(lambda: other.one(free), 0.4)
        over.set()
        await asyncio.gather(holding, return_exceptions=True)
        return freed

    return world.really(story())


def connect_timeout(world: World, name: str) -> bool:
    """A handshake that gets no answer ends, however long the caller would wait."""

    async def story():
        async with silent() as port:
            quick = {"postgres": replace(LAB.postgres, connect_s=0.1)}
            world.build(name.split(".", maxsplit=1)[0], profile=quick, POSTGRES_PORT=port)
            return await ends_within(world.patience_s(CUT_S), world.part("Postgres", name).run(lambda _: None, LONG))

    return world.really(story())


def pool_validate(world: World, name: str) -> bool:
    """A connection that the server has ended while it lay in the pool is replaced unnoticed."""

    async def story():
        pool = _pool(world, name)
        (victim,) = await pool.run(_said("SELECT pg_backend_pid()"), LONG)
        await _end(world, [victim])
        try:
            await pool.run(_said("SELECT 1"), LONG)
        except OutcomeUnknown:
            return False
        return True

    return world.really(story())


def reconnect_jitter(world: World, name: str) -> bool:
    """When all connections are gone at once, new ones are opened a few at a time."""

    async def story():
        pool = _pool(world, name)

        def all_at_once(deadline):
            pids = "SELECT pg_backend_pid() FROM pg_sleep(0.05)"
            callers = (pool.run(_said(pids), deadline) for _ in range(LAB.edges["postgres"].slots))
            return asyncio.gather(*callers, return_exceptions=True)

        await _end(world, [pid for (pid,) in await all_at_once(LONG)])
        again = await all_at_once(Deadline.after(1.5, time.monotonic))
        return any(isinstance(found, BulkheadFull | NotSent) for found in again)

    return world.really(story())


def durable_commit(world: World, name: str) -> bool:
    """A commit is in the server's log when it is acknowledged, though the server's default is later."""

    async def story():
        with world.other() as other:
            other.execute(f"ALTER DATABASE {world.stores.postgres.database} SET synchronous_commit = off")
        pool = _pool(world, name)

        def late(db):
            with db.cursor() as cursor:
                cursor.execute("INSERT INTO revocations VALUES (gen_random_uuid()::text, 0, now())")
                cursor.execute("SELECT pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()")
                return cursor.fetchone()[0]

        # The server's writer may be quick, and others write too: what is seen most often counts.
        return sum([await pool.run(late, LONG) for _ in range(5)]) <= 2

    return world.really(story())


def autocommit_reads(world: World, name: str) -> bool:
    """A read opens no transaction, so that there is none to end."""

    async def story():
        def look(db):
            db.cursor().execute("SELECT 1")
            return db.info.transaction_status

        status = await _pool(world, name).read(look, LONG)
        return status == ext.TRANSACTION_STATUS_IDLE

    return world.really(story())


def bulkhead_split(world: World, name: str) -> bool:
    """Lists that take long leave a single widget its connection."""

    async def story():
        slow = (
            "SELECT id::text, version, state, '', '' FROM widgets w, pg_sleep(0.3) WHERE id <> %(id)s OR %(limit)s > 0"
        )
        world.patch.setattr(sql, "PAGE", slow)
        service = world.build("widget-core", f"{name}.breaker", **world.with_stores())
        world.part("Upstream").call = world.keys
        wid = "/api/v1/widgets/00000000-0000-0000-0000-000000000001"
        lists = [asyncio.create_task(ask(service, "GET", "/api/v1/widgets", world.token())) for _ in range(14)]
        await asyncio.sleep(0.05)
        one = await ask(service, "GET", wid, world.token())
        await asyncio.gather(*lists)
        return one.status == 404

    return world.really(story())


async def _end(world, pids):
    with world.other() as other:
        for pid in pids:
            other.execute(f"SELECT pg_terminate_backend({pid})")
        gone = f"SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = ANY(ARRAY{pids}))"  # noqa: S608 - numbers
        assert await _until(lambda: other.one(gone), 5.0)


async def _until(condition, seconds):
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(0.01)
    return True


POOL = {
    "autocommit_reads": autocommit_reads,
    "connect_timeout": connect_timeout,
    "durable_commit": durable_commit,
    "idle_tx_timeout": idle_tx_timeout,
    "lock_timeout": lock_timeout,
    "pool.validate": pool_validate,
    "reconnect_jitter": reconnect_jitter,
    "statement_timeout": statement_timeout,
}
