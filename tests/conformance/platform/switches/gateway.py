"""What the gateway's own safeguards do, and the verification of tokens that Widget Core shares with it."""

import asyncio
import time
from uuid import UUID

from services.gateway.revocation import MARK, REVOCATIONS
from services.security.keys import KeyRing, make
from tests.conformance.platform.switches.drivers import LONG
from tests.conformance.platform.switches.widgets import WIDGETS, core
from tests.conformance.platform.switches.world import World, answer, ask, seen, working

ME = {"id": str(UUID(int=5)), "email": "a@b.cd", "role": "editor", "token_id": "t", "issued_at": 1}


def _gateway(world: World, *more: str, **env):
    """Return a gateway behind which everything is fine: there are keys, and every request is answered."""
    world.asked.clear()
    built = world.build("gateway", *more, **env)

    async def security(call, deadline):
        return answer(ME) if call.path.endswith("/me") else await world.keys(call, deadline)

    async def widgets(_call, _deadline):
        return answer({})

    world.part("Upstream", "gateway.security").call = security
    world.part("Upstream", "gateway.widget-core").call = widgets
    return built


def _service(world: World, name: str, **env):
    return _gateway(world, **env) if name == "gateway" else core(world, **env)


def jwks_cooldown(world: World, name: str) -> bool:
    """Five tokens of five unknown keys do not fetch the keys five times."""

    async def story():
        built, foreign = _service(world, name), KeyRing()
        for _ in range(5):
            foreign.load([make()])
            token = {"authorization": f"Bearer {foreign.sign('x', 'admin')[0]}"}
            assert (await ask(built, "GET", WIDGETS, token)).status in (401, 503)
        return len(world.asked) < 5

    return world.really(story())


def verify_local(world: World, name: str) -> bool:
    """Three requests with one token ask the security service for keys once, and never about the token."""

    async def story():
        built, asked = _service(world, name), []
        honest = world.part("Upstream", f"{name}.security").call

        async def counted(call, deadline):
            asked.append(call.path)
            return answer(ME) if call.path.endswith("/me") else await honest(call, deadline)

        world.part("Upstream", f"{name}.security").call = counted
        for _ in range(3):
            assert (await ask(built, "GET", WIDGETS, world.token())).status == 200
        return len(asked) == 1

    return world.really(story())


def rate_limit(world: World) -> bool:
    """Who asks too often is told so."""

    async def story():
        built = _gateway(world, RATE_LIMIT_PER_SECOND="3")
        return 429 in [(await ask(built, "GET", WIDGETS, world.token())).status for _ in range(10)]

    return world.really(story())


def rate_limit_local_fallback(world: World) -> bool:
    """While the shared counter is away requests are answered."""

    async def story():
        return (await ask(_gateway(world), "GET", WIDGETS, world.token())).status == 200

    return world.really(story())


def revocation(world: World) -> bool:
    """A revoked token is refused as soon as the revocation is known."""

    async def story():
        built = _gateway(world, **world.with_stores())
        token = world.token()

        async def revoke(redis):
            await redis.zadd(REVOCATIONS, {"sub:somebody|9e9": 9e9})
            await redis.set(MARK, repr(time.time()))

        await world.part("RedisStore").ask(revoke, LONG, safe=True)

        async def refused() -> bool:
            return (await ask(built, "GET", WIDGETS, token)).status == 401

        async with working(built):
            return await seen(refused, world.patience_s(1.0))

    return world.really(story())


def revocation_grace(world: World) -> bool:
    """Without news of revocations for too long nothing is changed any more."""

    async def story():
        built = _gateway(world, profile={"revocation_grace_s": 0.01})
        await asyncio.sleep(0.05)
        return (await ask(built, "POST", WIDGETS, world.token(), {"name": "x"})).status == 503

    return world.really(story())


GATEWAY = {
    "rate_limit": rate_limit,
    "rate_limit.local_fallback": rate_limit_local_fallback,
    "revocation": revocation,
    "revocation.grace": revocation_grace,
}
TOKENS = {"verify.jwks_cooldown": jwks_cooldown, "verify.local": verify_local}
