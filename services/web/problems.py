"""Errors as `application/problem+json` (RFC 9457), telling nothing of the inside."""

# ruff: noqa: ANN401 - what comes from outside has no type yet

import json
import logging
import math
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.contract.problem import MEDIA_TYPE, PREFIX, TITLES
from services.resilience import (
    BreakerOpen,
    BulkheadFull,
    DeadlineExceeded,
    NotSent,
    OutcomeUnknown,
    Overloaded,
    RateLimited,
    ResilienceError,
    Shed,
)

log = logging.getLogger(__name__)
NOT_DONE = "not-done"
RETRY_AFTER_MS = "retry-after-ms"
# What a safeguard's refusal is called outside, and whether anything can have happened.
REFUSALS: tuple[tuple[type[ResilienceError], int, str, str], ...] = (
    (RateLimited, 429, "rate-limited", NOT_DONE),
    (Shed, 503, "shed", NOT_DONE),
    (BreakerOpen, 503, "breaker-open", NOT_DONE),
    (BulkheadFull, 503, "bulkhead-full", NOT_DONE),
    (DeadlineExceeded, 503, "deadline-exceeded", NOT_DONE),
    (Overloaded, 503, "dependency-overloaded", NOT_DONE),
    (NotSent, 503, "dependency-unavailable", NOT_DONE),
    (OutcomeUnknown, 503, "outcome-unknown", "unknown"),
)


class Problem(Exception):  # noqa: N818 - the RFC's word
    """An answer that is an error: raise it anywhere in a handler."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str = "",
        *,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        """Name the kind of problem with *slug*; *members* are added to the document."""
        super().__init__(detail or slug)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.headers = headers or {}
        self.members = members


def of_refusal(error: ResilienceError) -> Problem:
    """Return the problem document of a safeguard's refusal or a dependency's failure."""
    status, slug, outcome = next(
        (status, slug, outcome) for kind, status, slug, outcome in REFUSALS if isinstance(error, kind)
    )
    headers = {"retry-after": str(max(1, math.ceil(error.retry_after or 1.0)))}
    # Between services a second is long. Not of an open breaker, which is never retried.
    if error.retry_after is not None and not isinstance(error, BreakerOpen):
        headers[RETRY_AFTER_MS] = str(math.ceil(error.retry_after * 1000))
    if error.edge:
        headers["x-degraded"] = error.edge
    return Problem(status, slug, headers=headers, outcome=outcome)


def render(problem: Problem, request_id: str | None = None) -> Response:
    """Return *problem* as a response."""
    document = {
        "type": PREFIX + problem.slug,
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        **({"detail": problem.detail} if problem.detail else {}),
        **({"request_id": request_id} if request_id else {}),
        **problem.members,
    }
    return Response(
        json.dumps(document),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def of_exception(error: Exception, *, sanitized: bool = True) -> Problem:
    """Return the problem document of any exception; log what nobody expected."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ResilienceError):
        return _leak(of_refusal(error), error, sanitized=sanitized)
    if isinstance(error, HTTPException):
        return Problem(error.status_code, _slug(error.status_code), headers=dict(error.headers or {}))
    log.error("unexpected error", exc_info=error)
    return _leak(Problem(500, "internal"), error, sanitized=sanitized)


def _leak(problem: Problem, error: Exception, *, sanitized: bool) -> Problem:
    if not sanitized:  # what a naive service does: the text of the exception, to anyone
        problem.detail = f"{type(error).__module__}.{type(error).__name__}: {error!r} {error.__cause__!r}"
    return problem


def _slug(status: int) -> str:
    return {404: "no-such-route", 405: "method-not-allowed"}.get(status, f"http-{status}")


def handler(*, sanitized: bool) -> Any:
    """Return the exception handler to register with FastAPI for every kind of exception."""

    async def handle(request: Request, error: Exception) -> Response:
        return render(of_exception(error, sanitized=sanitized), request.scope.get("request_id"))

    return handle
