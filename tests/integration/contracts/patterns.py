"""Recorded values that differ from run to run, as patterns: ids, moments, tokens.

A recorded text holds placeholders such as ``<uuid>``; everything else in it is meant literally. A list that
begins with ``<each>`` stands for one or more that all look like what follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

# In this order: what is more particular comes first.
PATTERNS: Final[Mapping[str, str]] = {
    "<jwt>": r"[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}",
    "<uuid>": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "<moment>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)",
    "<email>": r"[\w.+-]+@example\.org",
}
# What is meant by its place: words for people, and what depends on when it is asked.
PLACES: Final[Mapping[str, str]] = {
    "<opaque>": r"[\w-]{16,}",
    "<text>": r".+",
    "<count>": r"\d+",
    "<etag>": r'"\d+(?:-pending)?"',
    "<source>": r"hit|miss|stale|bypass",
    "<state>": r"active|pending",
}
BY_NAME: Final[Mapping[str, str]] = {
    "age": "<count>",
    "retry-after": "<count>",
    "etag": "<etag>",
    "x-cache": "<source>",
    "state": "<state>",
    "next": "<opaque>",
    "kid": "<opaque>",
    "x": "<opaque>",
    "x-request-id": "<opaque>",
    "request_id": "<opaque>",
    "refresh_token": "<opaque>",
    "native_id": "<opaque>",
    "problem": "<text>",
}
MANY: Final = ("keys",)
EACH: Final = "<each>"
PROBLEM: Final = "urn:problem:"
_PLACEHOLDER: Final = re.compile("|".join(map(re.escape, [*PATTERNS, *PLACES])))


def recorded(value: Json, name: str = "") -> Json:
    """*value* with placeholders for what will be another one next time; *name* is the member it was in."""
    if isinstance(value, dict):
        texts = ("title", "detail") if str(value.get("type", "")).startswith(PROBLEM) else ()
        return {key: "<text>" if key in texts else recorded(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [EACH, recorded(value[0])] if name in MANY else [recorded(one) for one in value]
    if isinstance(value, float):
        return 0.5
    if not isinstance(value, str):
        return value
    if (fixed := BY_NAME.get(name.lower())) and re.fullmatch(_expression(fixed), value):
        return fixed
    for placeholder, expression in PATTERNS.items():
        value = re.sub(rf"(?<![\w<-])(?:{expression})(?![\w>-])", placeholder, value)
    return value


def differences(wanted: Json, seen: Json, at: str = "body") -> Iterator[str]:
    """Where *seen* is not what *wanted* recorded. Members that came later are no difference."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        for name, value in wanted.items():
            if name in seen:
                yield from differences(value, seen[name], f"{at}.{name}")
            else:
                yield f"{at}.{name} is missing"
    elif isinstance(wanted, list) and isinstance(seen, list) and wanted[:1] == [EACH] and seen:
        yield from differences([wanted[1]] * len(seen), seen, at)
    elif isinstance(wanted, list) and isinstance(seen, list) and len(wanted) == len(seen):
        for number, (value, one) in enumerate(zip(wanted, seen, strict=True)):
            yield from differences(value, one, f"{at}[{number}]")
    elif not _same(wanted, seen):
        yield f"{at} is {seen!r}, expected {wanted!r}"


def _same(wanted: Json, seen: Json) -> bool:
    if isinstance(wanted, float):
        return isinstance(seen, float)
    if isinstance(wanted, str) and isinstance(seen, str):
        return re.fullmatch(_expression(wanted), seen, re.DOTALL) is not None
    return type(wanted) is type(seen) and wanted == seen


def _expression(text: str) -> str:
    """The regular expression that *text* with its placeholders stands for."""
    known, parts, end = {**PATTERNS, **PLACES}, [], 0
    for found in _PLACEHOLDER.finditer(text):
        parts += [re.escape(text[end : found.start()]), f"(?:{known[found[0]]})"]
        end = found.end()
    return "".join([*parts, re.escape(text[end:])])
