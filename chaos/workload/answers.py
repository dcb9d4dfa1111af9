"""What a platform answered, and how a value is read from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

_SURROGATES: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One HTTP answer.

    Attributes:
        status: of HTTP.
        headers: by name, however it is written.
        body: as it came over the wire.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:  # noqa: ANN401  (JSON)
        """The body's document; raises ValueError when it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            msg = f"the body {self.body[:80]!r} is not JSON: {error}"
            raise ValueError(msg) from error


def text_of(said: str) -> str:
    """*said* with replacement characters for lone surrogates, which parsers leave for bytes that are no text."""
    return _SURROGATES.sub("\ufffd", said)


Extract = Callable[[Answer], Any]
"""Reads a value from an answer; raises LookupError, TypeError or ValueError when it is not there."""


@dataclass(frozen=True, slots=True)
class JsonField:
    """The value at *path* of the answer's JSON body, such as ``JsonField("payload.n")``.

    Attributes:
        path: names, and places in lists, with dots between; empty for the whole document.
    """

    path: str = ""

    def __call__(self, answer: Answer) -> Any:  # noqa: ANN401  (JSON)
        """Read it; raises LookupError or ValueError when it is not there."""
        value = answer.json()
        for name in self.path.split(".") if self.path else ():
            value = _step(value, name, self.path)
        return value


@dataclass(frozen=True, slots=True)
class Header:
    """The value of the header *name*; a number where it is one, an ETag without its quotes."""

    name: str

    def __call__(self, answer: Answer) -> int | str:
        """Read it; raises LookupError when it is not there."""
        if self.name not in answer.headers:
            msg = f"the answer has no header {self.name!r}"
            raise LookupError(msg)
        text = text_of(answer.headers[self.name]).removeprefix("W/").strip('"')
        return int(text) if text.isdecimal() else text


def _step(value: Any, name: str, path: str) -> Any:  # noqa: ANN401  (JSON)
    """Go down one name of a path."""
    if isinstance(value, dict) and name in value:
        return value[name]
    if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    msg = f"the body has nothing at {path!r}: no {name!r} in {value!r:.80}"
    raise LookupError(msg)
