"""Reading requests: bodies within limits, and headers that mean something."""

import asyncio
import math
import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from services.web.application import places
from services.web.door import deadline_of
from services.web.problems import NOT_DONE, Problem

M = TypeVar("M", bound=BaseModel)
KEY = re.compile(r"[\x21-\x7e]{1,128}")
ETAG = re.compile(r'"(\d{1,9})(-pending)?"')
VERSION = re.compile(r"\d{1,9}")
JSON = ("application/json", "")
CLOSE = {"connection": "close"}  # the rest of the body is still to come


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body; 413 as soon as it is too long, 408 when it does not come before the deadline."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared[:12]) > limit:
        raise _too_large(limit)
    left = deadline_of(request.scope).remaining()
    try:
        async with asyncio.timeout(None if math.isinf(left) else left):
            return await _collect(request, limit)
    except TimeoutError:
        raise Problem(408, "body-too-slow", headers=CLOSE, outcome=NOT_DONE) from None
    except ClientDisconnect:
        raise Problem(400, "body-incomplete") from None


async def _collect(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def parse(model: type[M], body: bytes) -> M:
    """Return *body* as *model*, or raise the 400 problem that says where it is wrong."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Problem(400, "invalid-body", "the body is not valid", errors=places(error)[:20]) from None


def check_json(request: Request) -> None:
    """Raise the 415 problem unless the body claims to be JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in JSON:
        raise Problem(415, "not-json", "send application/json")


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key, or raise the 400 problem when it is not usable."""
    key = request.headers.get("idempotency-key")
    if key is not None and not KEY.fullmatch(key):
        raise Problem(400, "bad-idempotency-key", "1 to 128 visible ASCII characters")
    return key


def if_match(request: Request) -> int | None:
    """Return the version of If-Match; None when it is absent or any version will do."""
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    match = ETAG.fullmatch(text.strip())
    if match is None:
        raise Problem(412, "version-mismatch", "If-Match takes one ETag of this resource")
    return int(match[1])


def min_version(request: Request) -> int:
    """Return X-Min-Version, 0 when it is absent."""
    text = request.headers.get("x-min-version", "0")
    if not VERSION.fullmatch(text):
        raise Problem(400, "bad-min-version", "X-Min-Version takes a version number")
    return int(text)


def _too_large(limit: int) -> Problem:
    return Problem(413, "body-too-large", f"at most {limit} bytes", headers=CLOSE)
