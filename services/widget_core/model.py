"""What passes between the parts of Widget Core."""

from dataclasses import dataclass
from uuid import UUID

STATES = ("pending", "active", "failed", "gone")  # in the order in which one version goes through them


def order(version: int, state: str = STATES[0]) -> int:
    """Return a number that grows with each version, and within it with each state."""
    return version * len(STATES) + STATES.index(state)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A widget as it is recorded; `body` is its JSON, ready to be sent. `gone`: it was deleted."""

    id: str
    version: int
    state: str
    body: str

    @property
    def order(self) -> int:
        """Return what makes this later than another state of the same widget."""
        return order(self.version, self.state)


@dataclass(frozen=True, kw_only=True, slots=True)
class Native:
    """What ORB Core needs to know of a widget."""

    critical: bool
    payload: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fields:
    """The members of a widget that its owner decides; None: unchanged. `payload` is JSON."""

    name: str | None
    description: str | None
    payload: str | None
    critical: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation:
    """Who changes something, and the key and fingerprint that make a repeat recognisable.

    Without a key nothing is remembered, and a call of unknown outcome is not repeated.
    """

    principal: str
    key: str | None
    fingerprint: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A mutation that was carried out, now or (`replayed`) the first time its key came."""

    status: int
    body: str
    rows: tuple[Row, ...] = ()
    entries: tuple[int, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Something ORB Core has still to hear."""

    seq: int
    widget_id: str
    kind: str
    revision: int
    critical: bool
    payload: str
    op_id: str


class NotFoundError(Exception):
    """There is no such widget."""


class VersionConflictError(Exception):
    """The widget is at another version than the caller has seen."""


class KeyReusedError(Exception):
    """The idempotency key was used for another request."""


def widget_id(text: str) -> str:
    """Return *text* as a widget's id in its one spelling, or raise `NotFoundError`."""
    try:
        return str(UUID(text))
    except ValueError:
        raise NotFoundError from None


def is_widget_id(text: str) -> bool:
    """Tell whether *text* can be a widget's id, in its one spelling."""
    try:
        return widget_id(text) == text
    except NotFoundError:
        return False
