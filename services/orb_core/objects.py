"""The native objects by widget, and the operation keys that make repeats harmless."""

import bisect
import itertools
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from services.orb_core.memory import Block, NativeMemory

MAX_PAYLOAD = 64 * 1024
MAX_ID = 64
MAX_REVISION = 2**31 - 1
KEYS_REMEMBERED = 10_000  # a repeat comes within seconds, and their memory must stay small


class ObjectError(Exception):
    """Base of the answers that are not a success."""


class NotFoundError(ObjectError):
    """No native object belongs to that widget."""


class StaleError(ObjectError):
    """The object is at a later revision already; `current` says which."""

    def __init__(self, current: int) -> None:
        """Keep the revision."""
        super().__init__(f"current revision is {current}")
        self.current = current


class InvalidError(ObjectError):
    """The wanted object is not acceptable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A native object as the caller wants it; `key` names the operation."""

    widget_id: str
    revision: int
    critical: bool
    payload: bytes
    key: str

    def check(self) -> None:
        """Raise `InvalidError` unless this can be stored."""
        if not 0 < len(self.widget_id) <= MAX_ID or not self.widget_id.isascii():
            message = "an id has 1 to 64 ASCII characters"
            raise InvalidError(message)
        if len(self.payload) > MAX_PAYLOAD:
            message = f"a payload has at most {MAX_PAYLOAD} bytes"
            raise InvalidError(message)
        if not 0 < self.revision <= MAX_REVISION:
            message = "revisions start at 1"
            raise InvalidError(message)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NativeObject:
    """One native object."""

    widget_id: str
    native_id: str
    revision: int
    block: Block


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A native object as it was at one moment: its block may be gone by now, the payload is a copy."""

    widget_id: str
    native_id: str
    revision: int
    critical: bool
    payload: bytes


class ObjectStore:
    """Create, read, update and remove native objects. Safe for threads.

    With *dedup* off a repeated create allocates a second object for the same widget, as a
    server does that takes every call for a new one.
    """

    def __init__(self, memory: NativeMemory, *, dedup: bool = True) -> None:
        """Start empty, with a new boot id."""
        self.boot_id = secrets.token_hex(8)
        self.memory = memory
        self.notified = 0
        self.repeats = 0
        self._dedup = dedup
        self._objects: dict[str, list[NativeObject]] = {}
        self._ids: list[str] = []
        self._done: OrderedDict[str, None] = OrderedDict()
        self._serial = itertools.count(1)
        self._lock = threading.RLock()

    def create(self, wanted: Wanted) -> View:
        """Return the object of the widget, made now unless it is there already."""
        wanted.check()
        with self._lock:
            there = self._objects.get(wanted.widget_id)
            if there and self._dedup:
                self.repeats += 1
                return _view(self._catch_up(there[0], wanted))
            made = self._make(wanted)
            self._objects.setdefault(wanted.widget_id, []).append(made)
            if not there:
                bisect.insort(self._ids, wanted.widget_id)
            return _view(made)

    def get(self, widget_id: str) -> View:
        """Return the object of the widget."""
        with self._lock:
            return _view(self._one(widget_id))

    def update(self, wanted: Wanted) -> View:
        """Replace the object by a later revision; the same operation again changes nothing."""
        wanted.check()
        with self._lock:
            there = self._one(wanted.widget_id)
            if self._repeated(wanted.key):
                return _view(there)
            if there.revision >= wanted.revision:
                raise StaleError(there.revision)
            return _view(self._replace(there, wanted))

    def remove(self, widget_id: str, key: str) -> None:
        """Release the objects of the widget; the same operation again finds nothing to do."""
        with self._lock:
            if widget_id not in self._objects:
                if self._repeated(key):
                    return
                raise NotFoundError(widget_id)
            for item in self._objects.pop(widget_id):
                self.memory.release(item.block)
            del self._ids[bisect.bisect_left(self._ids, widget_id)]
            self._remember(key)

    def after(self, widget_id: str, limit: int) -> list[NativeObject]:
        """Return the objects of the next *limit* widgets in order of their ids."""
        with self._lock:
            start = bisect.bisect_right(self._ids, widget_id)
            ids = self._ids[start : start + limit]
            return [item for wid in ids for item in self._objects[wid]]

    def _one(self, widget_id: str) -> NativeObject:
        try:
            return self._objects[widget_id][0]
        except KeyError:
            raise NotFoundError(widget_id) from None

    def _catch_up(self, there: NativeObject, wanted: Wanted) -> NativeObject:
        return there if there.revision >= wanted.revision else self._replace(there, wanted)

    def _replace(self, old: NativeObject, wanted: Wanted) -> NativeObject:
        new = self._make(wanted)
        self._objects[wanted.widget_id][0] = new
        self.memory.release(old.block)
        return new

    def _make(self, wanted: Wanted) -> NativeObject:
        block = self.memory.allocate(wanted.payload, critical=wanted.critical)
        self._remember(wanted.key)
        return NativeObject(
            widget_id=wanted.widget_id,
            native_id=f"{self.boot_id}-{next(self._serial)}",
            revision=wanted.revision,
            block=block,
        )

    def _repeated(self, key: str) -> bool:
        return self._dedup and key in self._done

    def _remember(self, key: str) -> None:
        self._done[key] = None
        while len(self._done) > KEYS_REMEMBERED:
            self._done.popitem(last=False)


def _view(item: NativeObject) -> View:
    return View(
        widget_id=item.widget_id,
        native_id=item.native_id,
        revision=item.revision,
        critical=item.block.critical,
        payload=item.block.payload,
    )
