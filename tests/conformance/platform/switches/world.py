"""One service, built in this process by its own `build`, with the parts it was made of in reach."""

import asyncio
import contextlib
import dataclasses
import importlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from chaos.processes.supervisor import Process, Supervisor
from services.drivers.http import Answer, Call, Upstream
from services.drivers.postgres import Postgres
from services.drivers.redis_store import RedisStore
from services.profiles import LAB
from services.resilience import Deadline, Edge, Switches
from services.security.keys import KeyRing, make
from services.web.environment import Environment
from services.web.serving import Service, end
from tests.conformance.platform.stores import Stores
from tests.unit.services.virtual import FakeClock, VirtualLoop

PARTS = ("Postgres", "RedisStore", "Upstream", "OrbCoreClient", "Record", "Relay", "WidgetCache", "Passwords")
PATIENT = {  # where a check is about something else, a busy machine has time
    "request_s": 30.0,
    "edges": {kind: dataclasses.replace(times, total_s=20.0, attempt_s=10.0) for kind, times in LAB.edges.items()},
}
AMPLE_S = 5.0  # half of the longest time that a check gives to an edge
NOBODY = "1"  # a port on which nobody listens
ROOT = Path(__file__).resolve().parents[4]


@dataclass
class Said:
    """What a service answered."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """Return the document."""
        return json.loads(self.body)


@dataclass
class Session:
    """Another client of the database, in autocommit mode."""

    cursor: Any

    def execute(self, statement: str) -> None:
        """Run a statement."""
        self.cursor.execute(statement)

    def one(self, statement: str) -> Any:
        """Return the one value of a statement."""
        self.cursor.execute(statement)
        return self.cursor.fetchone()[0]


class World:
    """What one check of one switch lives in.

    off: the names that are switched off; stuck: a name whose lookup says "on" whatever was asked.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, stores: Callable[[], Stores], supervisor: Supervisor, folder: Path
    ) -> None:
        """Start with everything on; stores are made when they are first asked for."""
        self.patch, self.clock, self.supervisor, self.folder = patch, FakeClock(), supervisor, folder
        self.off: frozenset[str] = frozenset()
        self.stuck: str | None = None
        self.made: dict[str, list[Any]] = {}
        self._open: list[Any] = []
        self.ring = KeyRing()
        self.ring.load([make()])
        self.asked: list[tuple[Call, Deadline]] = []
        self._stores, self._found = stores, None

    @property
    def stores(self) -> Stores:
        """Return stores of its own."""
        self._found = self._found or self._stores()
        return self._found

    def begin(self, *off: str) -> None:
        """Begin anew with these names switched off; stores that are asked for from now on are empty."""
        self.off, self._found = frozenset(off), None

    def stick(self, name: str) -> None:
        """Make the switch *name* do nothing."""
        self.stuck = name
        honest = Switches.on
        self.patch.setattr(Switches, "on", lambda one, asked: True if asked == name else honest(one, asked))

    def patience_s(self, cut_s: float) -> float:
        """Return for how long a check looks for what its switch does: *cut_s* where that is not expected.

        What is expected comes at once, except on a busy machine.
        """
        return cut_s if self.off - {self.stuck} else AMPLE_S

    def build(self, service: str, *more: str, profile: dict[str, Any] | None = None, **env: str) -> Service:
        """Build *service* with *more* switched off too, and with some times of the profile replaced."""
        module = importlib.import_module(f"services.{service.replace('-', '_')}.main")
        self.patch.setattr("services.web.environment.PROFILES", {"lab": dataclasses.replace(LAB, **profile or {})})
        self.made.clear()
        for part in PARTS:
            if hasattr(module, part):
                self._watch(module, part)
        if service == "orb-core":  # its ORB would open ports in this process
            self.patch.setattr(module, "activate", self._activate)
        self.service = module.build(Environment(self.variables(*more, **env)))
        return self.service

    def variables(self, *more: str, **env: str) -> dict[str, str]:
        """Return the environment of a service whose dependencies are nowhere, unless *env* says where."""
        nowhere = dict.fromkeys(("POSTGRES_PORT", "REDIS_PORT"), NOBODY)
        off = ",".join(sorted({*self.off, *more}))
        return {"SERVICE_PROFILE": "lab", "RESILIENCE_DISABLE": off, "LOG_LEVEL": "ERROR"} | nowhere | env

    def with_stores(self) -> dict[str, str]:
        """Return where the stores are, as variables."""
        found = self.stores.postgres
        return {
            "POSTGRES_HOST": found.host,
            "POSTGRES_PORT": str(found.port),
            "POSTGRES_DB": found.database,
            "POSTGRES_PASSWORD": found.password,
            "REDIS_PORT": str(self.stores.redis_port),
            "REDIS_PASSWORD": found.password,
        }

    def edge(self, name: str, *more: str) -> Edge:
        """Return the edge *name* of its service, on virtual time and with chance decided."""
        for module in ("services.web.edges.time", "services.web.application.time"):
            self.patch.setattr(module, SimpleNamespace(monotonic=self.clock))
        self.build(name.split(".", maxsplit=1)[0], *more)
        found = self.edge_built(name)
        found.retrier._rng = random.Random(7)
        return found

    def edge_built(self, name: str) -> Edge:
        """Return the edge *name* of the service that was built last."""
        return next(edge for edge in self.service.health.edges if edge.name == name)

    def part(self, kind: str, name: str | None = None) -> Any:
        """Return the part of that kind that was built, the one on the edge *name* if there are several."""
        found = self.made[kind]
        return found[0] if name is None else next(one for one in found if _edge_name(one) == name)

    def virtually(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run *work* on virtual time."""
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(self.clock)) as runner:
            return runner.run(self._whole(work))

    def really(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run *work*."""
        return asyncio.run(self._whole(work))

    def spawn(self, target: str, **env: str) -> Process:
        """Start a function of `child` in a process of its own."""
        told = self.variables(**env) | ({"STUCK_SWITCH": self.stuck} if self.stuck else {})
        return self.supervisor.spawn(
            target, target=f"tests.conformance.platform.switches.child:{target}", env=told, cwd=ROOT,
            log=self.folder / f"{target}.log",
        )  # fmt: skip

    def token(self, role: str = "editor") -> dict[str, str]:
        """Return the headers of a request by somebody."""
        return {"authorization": f"Bearer {self.ring.sign('somebody', role)[0]}", "content-type": "application/json"}

    async def keys(self, call: Call, deadline: Deadline) -> Answer:
        """Stand in for the security service: give the public keys."""
        self.asked.append((call, deadline))
        return answer(self.ring.document())

    @contextlib.contextmanager
    def other(self) -> Iterator["Session"]:
        """Another client of the database."""
        with contextlib.closing(self.stores.connect()) as connection, connection.cursor() as cursor:
            yield Session(cursor)

    def _watch(self, module: Any, part: str) -> None:
        kind = getattr(module, part)
        kind = getattr(kind, "watched", kind)

        def made(*args: Any, **more: Any) -> Any:
            one = kind(*args, **more)
            self.made.setdefault(part, []).append(one)
            self._open.append(one)
            return one

        made.watched = kind
        self.patch.setattr(module, part, made)

    def _activate(self, *given: Any) -> tuple[str, Callable[[], None]]:
        self.activated = given
        return "IOR:", lambda: None

    async def _whole(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do *work*, end what it has begun, and close what it has opened."""
        try:
            return await work
        finally:
            await end(asyncio.all_tasks() - {asyncio.current_task()})
            while self._open:
                await _close(self._open.pop())


def answer(document: Any) -> Answer:
    """Return the answer of a service that has *document* to give."""
    return Answer(status=200, headers=CIMultiDictProxy(CIMultiDict()), body=json.dumps(document).encode())


async def ask(
    service: Service, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
) -> Said:
    """Send one request through the door of *service*."""
    said, raw = Said(), b"" if body is None else json.dumps(body).encode()
    target, _, query = path.partition("?")
    scope = {
        "type": "http", "method": method, "path": target, "raw_path": target.encode(), "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 1), "server": ("test", 80), "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    parts = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> Any:
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            said.status = message["status"]
            said.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            said.body += message.get("body", b"")

    await service.door(scope, receive, send)
    return said


@contextlib.asynccontextmanager
async def working(service: Service) -> Any:
    """Run the background work of *service* for the body of the `async with`."""
    tasks = [asyncio.create_task(work()) for work in service.background]
    try:
        yield
    finally:
        await end(tasks)


async def seen(condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> bool:
    """Tell whether *condition* comes true within *seconds*."""
    ends = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(0.01)
    return True


@contextlib.asynccontextmanager
async def silent() -> Any:
    """A server that takes connections and never says a word; yields its port."""
    async with serving(b"", hold=True) as port:
        yield port


@contextlib.asynccontextmanager
async def serving(reply: bytes, *, hold: bool = False, heard: Callable[[bytes], Any] = bytes) -> Any:
    """A server that says *reply* to whatever is *heard*, at once or (hold) in the end; yields its port."""
    over, served = asyncio.Event(), []

    async def answer(reader: Any, writer: Any) -> None:
        try:
            heard(await (over.wait() if hold else reader.readuntil(b"\r\n\r\n")))
            writer.write(reply)
        finally:
            writer.close()

    def accept(reader: Any, writer: Any) -> None:
        if over.is_set():
            writer.transport.abort()  # nobody waits for him any more
        else:
            served.append(asyncio.ensure_future(answer(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield str(server.sockets[0].getsockname()[1])
    finally:
        over.set()
        server.close()
        await asyncio.gather(*served, return_exceptions=True)


async def _close(part: Any) -> None:
    if isinstance(part, RedisStore):
        await part._redis.aclose(close_connection_pool=True)
        await part._pool.disconnect()
    elif isinstance(part, Upstream):
        await part.close()
    elif isinstance(part, Postgres):
        part.close()


def _edge_name(part: Any) -> str:
    return part.edge.name if hasattr(part, "edge") else part._name
