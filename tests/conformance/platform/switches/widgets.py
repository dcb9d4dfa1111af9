"""What Widget Core's own safeguards do, request by request."""

import asyncio
import uuid

from omniORB import CORBA

from services.idl import OrbCore
from services.resilience import NotSent
from services.widget_core.model import Row
from services.widget_core.orb import OrbObject
from tests.conformance.platform.switches.drivers import LONG
from tests.conformance.platform.switches.world import PATIENT, World, ask, seen, working

WIDGETS = "/api/v1/widgets"
DEAD = NotSent("away")


def core(world: World, *more: str, **env):
    """Return Widget Core with real stores, and with keys to verify tokens."""
    world.asked.clear()
    times = {**PATIENT, **env.pop("profile", {})}
    built = world.build("widget-core", *more, profile=times, **{**world.with_stores(), **env})
    world.part("Upstream").call = world.keys
    return built


async def _made(world: World, built, **more) -> str:
    """Make a widget, with ORB Core away, and return its path."""
    answer = await ask(built, "POST", WIDGETS, world.token(), {"name": "gauge", **more})
    assert answer.status == 201, answer.body
    return f"{WIDGETS}/{answer.json()['id']}"


def _reads(world: World, times: int, *more: str, pause_s: float = 0.0, **env):
    """Return what X-Cache says when one widget is read so often."""

    async def story():
        built = core(world, *more, **env)
        path, said = await _made(world, built), []
        for _ in range(times):
            await asyncio.sleep(pause_s)
            said.append((await ask(built, "GET", path, world.token())).headers["x-cache"])
        return said

    return world.really(story())


def ack_after_commit(world: World) -> bool:
    """What could not be recorded is not acknowledged."""

    async def story():
        built = core(world)

        async def dead(*_):
            raise DEAD

        world.part("Record").create = dead
        return (await ask(built, "POST", WIDGETS, world.token(), {"name": "gauge"})).status != 201

    return world.really(story())


def cache(world: World) -> bool:
    """The second read is answered from the cache."""
    return _reads(world, 2)[1] == "hit"


def cache_ttl(world: World) -> bool:
    """A cached value that has grown old is read again."""
    return _reads(world, 1, pause_s=0.1, profile={"soft_ttl_s": 0.05}) == ["miss"]


def cache_fallthrough_cap(world: World) -> bool:
    """While the cache is away only so many reads reach the record."""

    async def story():
        built = core(world, REDIS_PORT="1", profile={"fallthrough_per_s": 4.0})
        paths = [f"{WIDGETS}/{uuid.uuid4()}" for _ in range(10)]
        return 503 in [(await ask(built, "GET", path, world.token())).status for path in paths]

    return world.really(story())


def cache_local(world: World) -> bool:
    """With the cache and the record away the process still knows what it has seen."""

    async def story():
        built = core(world)
        path = await _made(world, built)
        _kill_record(world)
        world.part("RedisStore").try_ask = _nothing
        return (await ask(built, "GET", path, world.token())).headers.get("x-cache") == "stale"

    return world.really(story())


def cache_stale_if_error(world: World) -> bool:
    """With the record away an old value is better than none."""

    async def story():
        built = core(world, profile={"soft_ttl_s": -1.0})
        path = await _made(world, built)
        _kill_record(world)
        return (await ask(built, "GET", path, world.token())).status == 200

    return world.really(story())


def cache_min_version(world: World) -> bool:
    """Who has seen version 2 is not shown the cached version 1."""

    async def story():
        built = core(world)
        path = await _made(world, built)
        with world.other() as other:
            other.execute("UPDATE widgets SET version = 2")
        headers = world.token() | {"x-min-version": "2"}
        return (await ask(built, "GET", path, headers)).json()["version"] == 2

    return world.really(story())


def cache_singleflight(world: World) -> bool:
    """Five who ask for the same thing at once are one query."""

    async def story():
        built = core(world, "widget-core.cache")
        path, record, asked = await _made(world, built), world.part("Record"), []
        honest = record.get

        async def counted(wid, deadline):
            asked.append(wid)
            return await honest(wid, deadline)

        record.get = counted
        await asyncio.gather(*(ask(built, "GET", path, world.token()) for _ in range(5)))
        return len(asked) == 1

    return world.really(story())


def cache_put_later(world: World) -> bool:
    """What was written while the cache was away is in it soon after its return."""

    async def story():
        built = core(world)
        store, wid = world.part("WidgetCache"), str(uuid.uuid4())
        honest, store.store.try_ask = store.store.try_ask, _nothing
        await store.put(Row(id=wid, version=1, state="active", body="{}"), LONG)
        store.store.try_ask = honest

        async def cached() -> bool:
            return (await store.get(wid, LONG))[1] is not None

        async with working(built):
            return await seen(cached, world.patience_s(1.0))

    return world.really(story())


def cache_versioned(world: World) -> bool:
    """A put that comes too late does not replace the newer value."""

    async def story():
        core(world)
        store, wid = world.part("WidgetCache"), str(uuid.uuid4())
        for version in (2, 1):
            await store.put(Row(id=wid, version=version, state="active", body="{}"), LONG)
        return (await store.get(wid, LONG))[1].row.version == 2

    return world.really(story())


def idempotency(world: World) -> bool:
    """A repeat with the same key is the same widget."""

    async def story():
        built, headers = core(world), world.token() | {"idempotency-key": "k"}
        made = [(await ask(built, "POST", WIDGETS, headers, {"name": "x"})).json()["id"] for _ in "ab"]
        return made[0] == made[1]

    return world.really(story())


def if_match(world: World) -> bool:
    """A version that nobody has seen is not overwritten."""

    async def story():
        built = core(world)
        headers = world.token() | {"if-match": '"7"'}
        return (await ask(built, "PUT", await _made(world, built), headers, {"name": "x"})).status == 412

    return world.really(story())


def native_fallback(world: World) -> bool:
    """With ORB Core away the native view is the last one known."""

    async def story():
        built = core(world)
        path = await _made(world, built)
        return (await ask(built, "GET", f"{path}/native", world.token())).status == 200

    return world.really(story())


def outbox(world: World) -> bool:
    """What ORB Core could not be told is written down, with the change itself."""

    async def story():
        await _made(world, core(world))
        with world.other() as other:
            return other.one("SELECT count(*) FROM outbox") == 1

    return world.really(story())


def outbox_mark_after_send(world: World) -> bool:
    """An entry that could not be delivered is still there after the relay has tried."""

    async def story():
        await _made(world, core(world))
        with world.other() as other:
            other.execute("UPDATE outbox SET leased_until = '-infinity'")
            try:
                await world.part("Relay").once()
            except NotSent:
                return other.one("SELECT count(*) FROM outbox") == 1
        raise AssertionError

    return world.really(story())


def reconcile(world: World) -> bool:
    """An ORB Core that has lost everything is told again of what is recorded."""

    async def story():
        built = core(world)
        await _made(world, built)
        with world.other() as other:
            other.execute("DELETE FROM outbox")
        orb = world.part("OrbCoreClient")
        told = asyncio.Event()

        async def usage(_):
            return "boot", 0

        async def listed(*_):
            return []

        async def create_many(*_):
            told.set()

        orb.usage, orb.list, orb.create_many = usage, listed, create_many

        async def heard() -> bool:
            return told.is_set()

        async with working(built):
            return await seen(heard, world.patience_s(1.0))

    return world.really(story())


def rebind(world: World) -> bool:
    """After a reference has turned out dead the published one is fetched again."""

    async def story():
        world.patch.setattr("services.widget_core.main.time", _Times(world.clock))
        world.patch.setattr("services.widget_core.orb._first_contact", lambda *_: references.pop(0))
        references = [_Reference(alive=False), _Reference(alive=True)]
        world.build("widget-core", "widget-core.orb-core.retry")
        orb = world.part("OrbCoreClient")
        try:
            await orb.get("w", LONG)
        except NotSent:
            world.clock.pass_(2.0)
        try:
            return isinstance(await orb.get("w", LONG), OrbObject)
        except NotSent:
            return False

    return world.really(story())


class _Times:
    def __init__(self, clock) -> None:
        self.monotonic = clock


class _Reference:
    """A reference to a factory that is there, or is no longer."""

    def __init__(self, *, alive: bool) -> None:
        self.alive = alive

    def get(self, wid):
        """Return an object, or say that there is no such servant."""
        if not self.alive:
            raise CORBA.OBJECT_NOT_EXIST(0, CORBA.COMPLETED_NO)
        return OrbCore.View(wid, "n", 1, False, b"{}")  # noqa: FBT003 - CORBA's order


def _kill_record(world: World) -> None:
    async def dead(*_):
        raise DEAD

    world.part("Record").get = dead


async def _nothing(*_, **__):
    return None


WIDGET_CORE = {
    "ack_after_commit": ack_after_commit,
    "cache": cache,
    "cache.fallthrough_cap": cache_fallthrough_cap,
    "cache.local": cache_local,
    "cache.min_version": cache_min_version,
    "cache.put_later": cache_put_later,
    "cache.singleflight": cache_singleflight,
    "cache.stale_if_error": cache_stale_if_error,
    "cache.ttl": cache_ttl,
    "cache.versioned": cache_versioned,
    "idempotency": idempotency,
    "if_match": if_match,
    "native.fallback": native_fallback,
    "orb-core.rebind": rebind,
    "outbox": outbox,
    "outbox.mark_after_send": outbox_mark_after_send,
    "reconcile": reconcile,
}
