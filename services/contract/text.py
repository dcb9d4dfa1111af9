"""Text and JSON from outside: what is accepted at all."""

# ruff: noqa: ANN401 - JSON has no type

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue

MAX_DEPTH = 16
MAX_PAYLOAD = 16 * 1024
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Strict(BaseModel):
    """A body from outside: no unknown members, no conversion of types, no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def printable(value: str) -> str:
    """Return *value* unless it has control characters; Postgres cannot store NUL at all."""
    if CONTROL.search(value):
        message = "control characters are not allowed"
        raise ValueError(message)
    return value


def modest(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return *value* unless it is too deep or too large, or has control characters."""
    size = 0
    for depth, item in _walk(value, 1):
        if isinstance(item, float) and not math.isfinite(item):
            message = "numbers must be finite"
            raise ValueError(message)
        text = _written_out(item)
        size += len(text) + 1
        if depth > MAX_DEPTH or size > MAX_PAYLOAD:
            message = f"at most {MAX_DEPTH} levels and {MAX_PAYLOAD} characters"
            raise ValueError(message)
        printable(text)
    return value


def _written_out(item: Any) -> str:
    """Return *item* as Postgres stores it: numbers have all their digits, 1e300 has 301."""
    return format(Decimal(repr(item)), "f") if isinstance(item, float) else str(item)


def _walk(value: Any, depth: int) -> Iterator[tuple[int, Any]]:
    """Yield each key and each plain value, with its depth."""
    if depth > MAX_DEPTH:
        yield depth, ""
    elif isinstance(value, dict):
        yield depth, ""
        for key, item in value.items():
            yield depth, key
            yield from _walk(item, depth + 1)
    elif isinstance(value, list):
        yield depth, ""
        for item in value:
            yield from _walk(item, depth + 1)
    else:
        yield depth, value


Text = Annotated[str, AfterValidator(printable)]
Payload = Annotated[dict[str, JsonValue], AfterValidator(modest)]
