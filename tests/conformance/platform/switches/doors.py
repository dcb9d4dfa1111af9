"""What the safeguards that every service has do, seen from outside its door."""

import asyncio
import http.server
import json
import os
import signal
import socket
import threading
import time
from types import SimpleNamespace

from services.profiles import LAB
from services.web.door import deadline_of
from tests.conformance.platform.stores import free_port, wait_until
from tests.conformance.platform.switches.world import World, ask

CROWD = 3 * (LAB.ingress.limit + LAB.ingress.queue)
SECRET = "10.1.2.3 secret"  # noqa: S105 - what must not be told


class Inside:
    """What stands behind the door: it counts who comes in, and keeps them for a while."""

    def __init__(self, stay_s: float = 0.0) -> None:
        """Keep everybody for *stay_s* seconds."""
        self.deadlines, self.stay_s = [], stay_s

    async def __call__(self, scope, _receive, send) -> None:
        """Answer 200."""
        self.deadlines.append(deadline_of(scope))
        await asyncio.sleep(self.stay_s)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def _behind(world: World, service: str, inside: Inside, *more: str):
    built = world.build(service, *more)
    built.door._app = inside
    return built


def _crowd(world: World, service: str, *more: str) -> list[int]:
    """Return the statuses of many requests that come at once and stay for a minute."""
    world.patch.setattr("services.web.application.time", SimpleNamespace(monotonic=world.clock))
    world.patch.setattr("services.web.door.time", SimpleNamespace(monotonic=world.clock, time=time.time))
    built = _behind(world, service, Inside(60.0), f"{service}.deadline", *more)
    world.clock.pass_(LAB.ingress.warmup_s)

    async def story():
        return [one.status for one in await asyncio.gather(*(ask(built, "GET", "/x") for _ in range(CROWD)))]

    return world.virtually(story())


def ingress_limit(world: World, name: str) -> bool:
    """Of a crowd some are told to come back later."""
    return 503 in _crowd(world, name)


def queue_bound(world: World, name: str) -> bool:
    """Of a crowd that does not fit some are told so, instead of waiting until their turn comes."""
    return 503 in _crowd(world, name)


def warmup(world: World, name: str) -> bool:
    """In the first moment only a part of the places is there."""
    world.patch.setattr("services.web.application.time", SimpleNamespace(monotonic=world.clock))
    inside = Inside(LAB.ingress.wait_s / 2)
    built = _behind(world, name, inside, f"{name}.deadline")

    async def story():
        crowd = [asyncio.create_task(ask(built, "GET", "/x")) for _ in range(LAB.ingress.limit)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        entered = len(inside.deadlines)
        await asyncio.gather(*crowd)
        return entered < LAB.ingress.limit

    return world.virtually(story())


def deadline(world: World, name: str) -> bool:
    """A request has an end, though it names none."""
    inside = Inside()
    world.really(ask(_behind(world, name, inside), "GET", "/x"))
    return inside.deadlines[0].remaining() <= LAB.request_s


def deadline_drop(world: World, name: str) -> bool:
    """What lay in a socket until its time was over is not begun."""
    inside = Inside()
    late = {"x-deadline-ms": "500", "x-sent-at": str(int((time.time() - 2) * 1000))}
    world.really(ask(_behind(world, name, inside), "GET", "/x", late))
    return not inside.deadlines


def errors_sanitized(world: World, name: str) -> bool:
    """The text of an exception stays inside, in the handlers' errors and in the door's own."""
    built = world.build(name)

    async def fail():
        raise ValueError(SECRET)

    async def broken(*_):
        raise ValueError(SECRET)

    async def story():
        built.door._app.add_api_route("/broken", fail)
        by_handler = await ask(built, "GET", "/broken")
        built.door._app = broken
        return by_handler, await ask(built, "GET", "/x")

    told = [SECRET in said.body.decode() for said in world.really(story())]
    assert told[0] == told[1]
    return not any(told)


def shallow_live(world: World, name: str) -> bool:
    """With every dependency away the process still says that it lives."""
    built = world.build(name, IIOP_PUBLISH="127.0.0.1:1")
    return world.really(ask(built, "GET", "/health/live")).status == 200


def drain(world: World, name: str) -> bool:
    """A request whose body is still on its way when SIGTERM comes is answered."""
    port = free_port()
    with _key_server(world) as keys:
        urls = {"SECURITY_SERVICE_URL": f"http://127.0.0.1:{keys}"} if name == "widget-core" else {}
        process = world.spawn(name.replace("-", "_"), PORT=str(port), **urls)
        wait_until(lambda: _listens(port), 15)
        path = "/api/v1/widgets" if name == "widget-core" else "/api/v1/auth/login"
        answer = _interrupted(world, port, path, lambda: os.kill(process.pid, signal.SIGTERM))
    wait_until(lambda: process.status() is not None)
    return answer.startswith(b"HTTP/1.1 ") and b"\r\n\r\n{" in answer


def _interrupted(world: World, port: int, path: str, interrupt) -> bytes:
    """Send half a request, *interrupt*, send the rest, and return what is answered."""
    body = json.dumps({"email": "a@example.org", "password": "long enough"}).encode()
    token = world.token()["authorization"]
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(head.encode() + body[:5])
        wait_until(lambda: _inside(port) == 1)
        interrupt()
        wait_until(lambda: not _listens(port))
        try:
            client.sendall(body[5:])
            return b"".join(iter(lambda: client.recv(65536), b""))
        except ConnectionError:
            return b""


def _inside(port: int) -> int:
    """Return how many requests are inside, as the service itself says."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    line = next(line for line in text.splitlines() if line.startswith("ingress_in_flight{"))
    return int(float(line.rsplit(" ", 1)[1]))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class _key_server:  # noqa: N801 - used like a function
    """An HTTP server that gives the public keys to whoever asks; yields its port."""

    def __init__(self, world: World) -> None:
        document = json.dumps(world.ring.document()).encode()

        class Keys(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)

    def __enter__(self) -> int:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_address[1]

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()


DOOR = {
    "deadline": deadline,
    "deadline_drop": deadline_drop,
    "drain": drain,
    "errors.sanitized": errors_sanitized,
    "health.shallow_live": shallow_live,
    "ingress_limit": ingress_limit,
    "queue_bound": queue_bound,
    "warmup": warmup,
}
