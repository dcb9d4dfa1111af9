"""The error document of the platform, RFC 9457."""

from pydantic import BaseModel


class ProblemOut(BaseModel):
    """What went wrong. `outcome` tells whether anything can have been done."""

    type: str
    title: str
    status: int
    detail: str | None = None
    request_id: str | None = None
    outcome: str | None = None
