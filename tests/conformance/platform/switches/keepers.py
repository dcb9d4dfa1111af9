"""What the own safeguards of the security service and of ORB Core do."""

import contextlib
import os
import signal
import socket
import threading

from omniORB import CORBA

from services.idl import OrbCore
from services.orb_core.objects import Wanted
from tests.conformance.platform.stores import free_port, wait_until
from tests.conformance.platform.switches.world import PATIENT, World, ask, seen, working

AUTH = "/api/v1/auth"
ADA = {"email": "ada@example.org", "password": "long enough"}
NO_RECORDS = """
CREATE OR REPLACE FUNCTION audit_append(actor text, action text, subject text, detail text) RETURNS bigint
LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk of the audit log is full'; END $$"""
JSON = {"content-type": "application/json"}


def _registered(world: World, story):
    """Run *story* with a working security service where Ada is registered."""

    async def whole():
        built = world.build("security", profile=PATIENT, **world.with_stores())

        async def ok() -> bool:
            return (await ask(built, "GET", "/health")).json()["status"] == "ok"

        async with working(built):
            assert await seen(ok)
            assert (await ask(built, "POST", f"{AUTH}/register", JSON, ADA)).status == 201
            return await story(built)

    return world.really(whole())


def _login(built):
    return ask(built, "POST", f"{AUTH}/login", JSON, ADA)


def audit_same_tx(world: World) -> bool:
    """What cannot be put on record does not happen."""

    async def story(built):
        with world.other() as other:
            other.execute(NO_RECORDS)
            await ask(built, "POST", f"{AUTH}/register", JSON, ADA | {"email": "bob@example.org"})
            return other.one("SELECT count(*) FROM users") == 1

    return _registered(world, story)


def lockout_credentials_only(world: World) -> bool:
    """Six good logins in a row lock nobody out."""

    async def story(built):
        return {(await _login(built)).status for _ in range(6)} == {200}

    return _registered(world, story)


def login_bulkhead(world: World) -> bool:
    """Passwords are checked on other threads than the one that serves the requests."""

    async def story(built):
        passwords = world.part("Passwords")
        passwords._hasher = watched = _Watched(passwords._hasher)
        assert (await _login(built)).status == 200
        return threading.get_ident() not in watched.threads

    return _registered(world, story)


class _Watched:
    """A password hasher that remembers which threads it worked on."""

    def __init__(self, hasher) -> None:
        self.hasher, self.threads = hasher, set()

    def hash(self, *given):
        """Hash."""
        return self.hasher.hash(*given)

    def verify(self, *given):
        """Verify."""
        self.threads.add(threading.get_ident())
        return self.hasher.verify(*given)


def refresh_reuse_detection(world: World) -> bool:
    """A refresh token is good for one use."""

    async def story(built):
        old = {"refresh_token": (await _login(built)).json()["refresh_token"]}
        assert (await ask(built, "POST", f"{AUTH}/refresh", JSON, old)).status == 200
        return (await ask(built, "POST", f"{AUTH}/refresh", JSON, old)).status == 401

    return _registered(world, story)


def _orb_core(world: World, **env: str):
    """Build ORB Core without opening its ports; return its store and the address it would publish."""
    world.build("orb-core", **env)
    return world.activated


def _wanted() -> Wanted:
    return Wanted(widget_id="w", revision=1, critical=True, payload=b"secret", key="k")


def dedup(world: World) -> bool:
    """A repeated create makes no second object."""
    store, *_ = _orb_core(world)
    for _ in "ab":
        store.create(_wanted())
    return store.memory.counters.live_objects == 1


def zeroize(world: World) -> bool:
    """A critical block is all zeros at the moment it is unmapped."""
    store, *_ = _orb_core(world)
    store.create(_wanted())
    block, last = store.after("", 1)[0].block, []

    class Watched(type(block.mapping)):
        def close(self) -> None:
            last.append(self[:6])
            super().close()

    watched = Watched(-1, len(block.mapping))
    watched[:6] = block.payload
    block.mapping.close()
    block.mapping = watched
    store.remove("w", "r")
    return last == [bytes(6)]


def ior_publish_proxy(world: World) -> bool:
    """References carry the address that is to be dialled, not the process's own."""
    _, listen, publish = _orb_core(world, IIOP_PUBLISH="127.0.0.1:20999")
    return publish != listen


def drain(world: World, name: str) -> bool:
    """A CORBA call that has begun when SIGTERM comes is answered."""
    begun, end = world.folder / f"begun-{len(world.off)}", world.folder / f"end-{len(world.off)}"
    os.mkfifo(end)
    ports = {variable: str(free_port()) for variable in ("PORT", "IIOP_PORT", "METRICS_PORT")}
    process = world.spawn(name.replace("-", "_"), ECHO_BEGUN=str(begun), ECHO_END=str(end), **ports)
    said = []

    def call() -> None:
        try:
            said.append(_factory(ports["IIOP_PORT"]).echo(b"hello"))
        except CORBA.SystemException as error:
            said.append(error)

    wait_until(lambda: _answers(ports["IIOP_PORT"]), 15)
    caller = threading.Thread(target=call)
    caller.start()
    wait_until(begun.exists)
    os.kill(process.pid, signal.SIGTERM)
    wait_until(lambda: said or not _http(ports["PORT"]))
    with contextlib.suppress(OSError):  # nobody waits at the other end of the pipe: the process is gone
        os.close(os.open(end, os.O_WRONLY | os.O_NONBLOCK))
    caller.join(10)
    wait_until(lambda: process.status() is not None)
    return said == [b"hello"]


def _factory(port: str):
    orb = CORBA.ORB_init(["test", "-ORBclientCallTimeOutPeriod", "8000"], CORBA.ORB_ID)
    known = orb.string_to_object(f"corbaloc:iiop:1.2@127.0.0.1:{port}/WidgetFactory")
    return known._unchecked_narrow(OrbCore.WidgetFactory)


def _answers(port: str) -> bool:
    try:
        return _factory(port).memory() is not None
    except CORBA.SystemException:
        return False


def _http(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


SECURITY = {
    "audit.same_tx": audit_same_tx,
    "lockout.credentials_only": lockout_credentials_only,
    "login.bulkhead": login_bulkhead,
    "refresh.reuse_detection": refresh_reuse_detection,
}
ORB_CORE = {"dedup": dedup, "ior.publish_proxy": ior_publish_proxy, "zeroize": zeroize}
