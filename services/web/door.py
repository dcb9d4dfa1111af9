"""The door of a service: request id, deadline and ingress limit, before anything else."""

# ruff: noqa: ANN401 - what comes from outside has no type yet

import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.contract.numbers import whole
from services.resilience import Deadline, Ingress, ResilienceError
from services.web import logs
from services.web.problems import Problem, of_exception, of_refusal, render

OPEN_TO_ALL = ("/health", "/metrics", "/ready")
MAX_DEADLINE_MS = 60_000
MAX_MOMENT_MS = 10**14
DEADLINE = "x-deadline-ms"
SENT_AT = "x-sent-at"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DoorPolicy:
    """The default time of a request, whether deadlines are kept at all, and how errors look."""

    request_s: float
    deadlines: bool = True
    sanitized: bool = True


class Door:
    """ASGI middleware around a whole service."""

    def __init__(self, app: ASGIApp, ingress: Ingress, policy: DoorPolicy) -> None:
        """Stand in front of *app*."""
        self._app = app
        self._ingress = ingress
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        rid = _request_id(headers)
        scope["request_id"] = rid
        token = logs.request_id.set(rid)
        try:
            await self._admit(scope, headers, receive, _Stamped(send, rid))
        finally:
            logs.request_id.reset(token)

    async def _admit(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: "_Stamped") -> None:
        if scope["path"].startswith(OPEN_TO_ALL):
            await self._serve(scope, receive, send)
            return
        try:
            scope["deadline"] = self._deadline(headers)
            await self._ingress.enter(scope["deadline"])
        except (Problem, ResilienceError) as error:
            problem = error if isinstance(error, Problem) else of_refusal(error)
            await render(problem, scope["request_id"])(scope, receive, send)
            return
        try:
            await self._serve(scope, receive, send)
        finally:
            self._ingress.leave()

    async def _serve(self, scope: Scope, receive: Receive, send: "_Stamped") -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the last place where it can be caught
            if send.started:  # starlette answers, and then raises what it has answered
                return
            problem = of_exception(error, sanitized=self._policy.sanitized)
            await render(problem, scope["request_id"])(scope, receive, send)

    def _deadline(self, headers: dict[bytes, bytes]) -> Deadline:
        if not self._policy.deadlines:
            return Deadline.never(time.monotonic)
        return Deadline.after(_time_left(headers, self._policy.request_s), time.monotonic)


class _Stamped:
    """A `send` that adds the request id and remembers whether the answer has begun."""

    def __init__(self, send: Send, rid: str) -> None:
        self._send = send
        self._header = (b"x-request-id", rid.encode())
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message.get("headers", ()), self._header]
        await self._send(message)


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"")
    return given.decode() if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _time_left(headers: dict[bytes, bytes], default_s: float) -> float:
    text = headers.get(DEADLINE.encode())
    left = default_s if text is None else _milliseconds(text) / 1000
    return left - _on_the_way(headers.get(SENT_AT.encode()))


def _milliseconds(text: bytes) -> int:
    found = whole(text.decode("latin-1"), MAX_DEADLINE_MS)
    if found is None:
        raise Problem(400, "bad-deadline", f"X-Deadline-Ms takes 1 to {MAX_DEADLINE_MS}")
    return found


def _on_the_way(sent_at: bytes | None) -> float:
    # A stopped process finds old requests in its socket: the time they lay there is gone too.
    sent = whole((sent_at or b"").decode("latin-1"), MAX_MOMENT_MS)
    if sent is None:
        return 0.0
    passed = time.time() - sent / 1000
    return passed if 0 < passed < MAX_DEADLINE_MS / 1000 else 0.0


def deadline_of(scope: Any) -> Deadline:
    """Return the deadline that the door wrote into *scope*."""
    deadline: Deadline = scope["deadline"]
    return deadline
