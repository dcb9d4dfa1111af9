"""The error document of the platform, RFC 9457."""

from typing import Any

from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:problem:"

TITLES = {
    400: "The request is not valid",
    401: "Authentication is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "The request did not arrive in time",
    409: "Conflict",
    412: "The version is not the current one",
    413: "The body is too large",
    415: "Unsupported media type",
    422: "The request contradicts an earlier one",
    428: "A precondition is required",
    429: "Too many requests",
    500: "Internal error",
    502: "A dependency answered nonsense",
    503: "Temporarily unavailable",
}


class PlaceOut(BaseModel):
    """Where the request is wrong, and what is wrong there."""

    at: str
    problem: str


class ProblemOut(BaseModel):
    """What went wrong. `outcome` tells whether anything can have been done."""

    type: str
    title: str
    status: int
    detail: str | None = None
    request_id: str | None = None
    outcome: str | None = None
    errors: list[PlaceOut] | None = None


# One example for each status: the kind of problem that is met most often, and more of its members.
EXAMPLES: dict[int, tuple[str, dict[str, Any]]] = {
    400: (
        "invalid-body",
        {"detail": "the body is not valid", "errors": [{"at": "name", "problem": "Field required"}]},
    ),
    401: ("token-expired", {"detail": "the token has expired"}),
    403: ("role-too-low", {"detail": "this needs the role 'editor'"}),
    404: ("no-such-widget", {}),
    408: ("body-too-slow", {"outcome": "not-done"}),
    409: ("locked", {"detail": "somebody else is changing the same thing", "outcome": "not-done"}),
    412: ("version-mismatch", {"detail": "the widget has changed meanwhile"}),
    413: ("body-too-large", {"detail": "at most 65536 bytes"}),
    415: ("not-json", {"detail": "send application/json"}),
    422: ("key-reused", {"detail": "this Idempotency-Key belongs to another request"}),
    428: ("if-match-missing", {"detail": "send If-Match with the ETag you have seen"}),
    429: ("rate-limited", {"outcome": "not-done"}),
    503: ("breaker-open", {"outcome": "not-done"}),
}


def example(status: int) -> dict[str, Any]:
    """Return an example of the document with that status."""
    slug, members = EXAMPLES[status]
    document = {"type": PREFIX + slug, "title": TITLES[status], "status": status}
    return document | {"request_id": "4f0c1f5be1a24c05"} | members
