"""HTTP to another service through aiohttp, with explicit timeouts and a bounded connector."""

import asyncio
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from services.resilience import AnsweredUnknown, AttemptTimeout, Deadline, Edge, NotSent, OutcomeUnknown, Overloaded
from services.web.door import DEADLINE, SENT_AT
from services.web.problems import NOT_DONE, RETRY_AFTER_MS

MAX_ANSWER = 16 * 1024 * 1024  # a page of 200 widgets, each from a body of 64 KiB
MARGIN_S = 0.02
IDLE_S = 15.0
UNAVAILABLE = 503
DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request. safe: it may be sent again even if it had its effect already."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    safe: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A complete response."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class PushedBack(Overloaded):
    """The service answered 503, nothing was done: the answer is kept, to be passed on as it is."""

    def __init__(self, answer: Answer) -> None:
        """Keep the answer and its hint."""
        super().__init__("the service pushed back", retry_after=_hint(answer))
        self.answer = answer


class Doubted(AnsweredUnknown):
    """The service answered 503 and does not say that nothing was done: the answer is kept."""

    def __init__(self, answer: Answer) -> None:
        """Keep the answer and its hint."""
        super().__init__("the service does not know the outcome", retry_after=_hint(answer))
        self.answer = answer


class Upstream:
    """One edge to an HTTP service. Nothing is opened before the first use."""

    def __init__(self, base_url: str, edge: Edge, *, integrity: bool = True) -> None:
        """Talk to *base_url*; with *integrity* off a truncated body passes as an answer."""
        self.edge = edge
        self._base = base_url
        self._integrity = integrity
        self._session: aiohttp.ClientSession | None = None

    async def call(self, call: Call, deadline: Deadline) -> Answer:
        """Return the answer, of whatever status; a 503 that stays one is an answer too."""
        try:
            return await self.edge.call(lambda left: self._attempt(call, left), deadline=deadline, safe=call.safe)
        except (PushedBack, Doubted) as error:
            return error.answer

    async def close(self) -> None:
        """Close the connections; the next call would open new ones."""
        session, self._session = self._session, None
        if session:
            await session.close()

    async def _attempt(self, call: Call, deadline: Deadline) -> Answer:
        try:
            answer = await self._send(call, deadline)
        except TimeoutError as error:
            message = "no answer from the service in time"
            raise AttemptTimeout(message) from error
        except aiohttp.ClientConnectorError as error:
            message = "the service cannot be reached"
            raise NotSent(message) from error
        except (aiohttp.ClientError, OSError) as error:
            message = "the connection to the service was lost"
            raise OutcomeUnknown(message) from error
        if answer.status == UNAVAILABLE:
            raise PushedBack(answer) if _not_done(answer) else Doubted(answer)
        return answer

    async def _send(self, call: Call, deadline: Deadline) -> Answer:
        left = deadline.remaining()
        headers = CIMultiDict(call.headers)
        if self.edge.policy.propagate and not math.isinf(left):
            headers.update(_deadline_headers(left))
        async with (
            asyncio.timeout(None if math.isinf(left) else left),
            self._open().request(
                call.method,
                URL(self._base + call.path, encoded=True),
                headers=headers,
                data=call.body or None,
                allow_redirects=False,
            ) as response,
        ):
            body = await self._body(response)
            return Answer(status=response.status, headers=response.headers, body=body)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        try:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_ANSWER:
                    message = f"the answer is longer than {MAX_ANSWER} bytes"
                    raise OutcomeUnknown(message)
        except aiohttp.ClientError:
            if self._integrity:
                raise
        return bytes(body)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self.edge.policy.bulkhead.limit, keepalive_timeout=IDLE_S),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("user-agent", "content-type"),
            )
            # aiohttp would send idempotent requests again by itself, past the budget and unseen.
            self._session._retry_connection = False  # noqa: SLF001
        return self._session


def _not_done(answer: Answer) -> bool:
    """Tell whether a refusal promises that nothing was done."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("outcome") == NOT_DONE


def _hint(answer: Answer) -> float | None:
    """Return the seconds after which the service wants to be asked again."""
    for name, unit in ((RETRY_AFTER_MS, 1000), ("retry-after", 1)):
        text = answer.headers.get(name, "")
        if DIGITS.fullmatch(text):
            return int(text) / unit
    return None


def _deadline_headers(left: float) -> dict[str, str]:
    # Less than we have: an answer that says "no" must still arrive in time.
    milliseconds = max(1, int((left - MARGIN_S) * 1000))
    return {DEADLINE: str(milliseconds), SENT_AT: str(int(time.time() * 1000))}
