"""Calls to ORB Core over IIOP: what CORBA's exceptions mean, and when to bind again."""

# ruff: noqa: ANN401 - rows and CORBA objects are untyped

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

import omniORB
from omniORB import CORBA

from services.drivers.workers import Workers
from services.idl import OrbCore
from services.resilience import AttemptTimeout, Clock, Deadline, Edge, NotSent, OutcomeUnknown
from services.web.environment import Address

T = TypeVar("T")
REBIND_S = 1.0
CONNECTIONS = 5
MESSAGE = 1024 * 1024  # bytes of payloads; omniORB takes 2 MiB for a whole message
UNBOUND = "the object broker has not been reached yet"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrbObject:
    """A native object as ORB Core shows it."""

    widget_id: str
    native_id: str
    revision: int
    critical: bool
    payload: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OrbSpec:
    """A native object as it is wanted; `key` names the operation."""

    widget_id: str
    revision: int
    critical: bool
    payload: str
    key: str


class Refused(Exception):  # noqa: N818 - an answer
    """ORB Core will not hold such an object."""


class Gone(Exception):  # noqa: N818 - an answer
    """ORB Core has no object for that widget."""


class Stale(Exception):  # noqa: N818 - an answer
    """ORB Core has a later revision already."""


class OrbCoreClient:
    """One edge to ORB Core. The ORB starts with the first call."""

    def __init__(self, address: Address, edge: Edge, clock: Clock, *, rebind: bool = True) -> None:
        """Dial *address* for the first contact; then use the reference that is published there."""
        self.edge = edge
        self.boots = 0
        slots = edge.policy.bulkhead.limit if edge.policy.bulkhead.enabled else 40
        self._workers = Workers("orb", slots)
        self._timeout = _milliseconds(edge.policy.attempt_s)
        self._binding = Binding(lambda: _first_contact(_orb(self._timeout), address), clock, rebind=rebind)
        self._blind = not edge.policy.retry.classify

    async def create(self, spec: OrbSpec, deadline: Deadline) -> OrbObject:
        """Make the native object of a widget, or get the one that is there."""
        return _object(await self._call(lambda orb: orb.create(self._spec(spec)), deadline))

    async def create_many(self, specs: Sequence[OrbSpec], deadline: Deadline) -> None:
        """Make many native objects."""
        for part in portions(specs):
            await self._call(lambda orb, part=part: orb.create_many([self._spec(spec) for spec in part]), deadline)

    async def get(self, widget_id: str, deadline: Deadline) -> OrbObject:
        """Return the native object of a widget, or raise `Gone`."""
        return _object(await self._call(lambda orb: orb.get(widget_id), deadline))

    async def update(self, spec: OrbSpec, deadline: Deadline) -> OrbObject:
        """Bring the native object to a later revision."""
        return _object(await self._call(lambda orb: orb.update(self._spec(spec)), deadline))

    async def remove(self, widget_id: str, key: str, deadline: Deadline) -> None:
        """Release the native object; that it is gone already is fine."""
        try:
            await self._call(lambda orb: orb.remove(widget_id, key), deadline)
        except Gone:
            return

    async def list(self, after: str, limit: int, deadline: Deadline) -> list[tuple[str, int]]:
        """Return ids and revisions of the next objects in order of their ids."""
        found = await self._call(lambda orb: orb.list(after, limit), deadline)
        return [(brief.id, brief.revision) for brief in found]

    async def usage(self, deadline: Deadline) -> tuple[str, int]:
        """Return the boot id of ORB Core and the number of its live objects."""
        seen = await self._call(lambda orb: orb.memory(), deadline)
        return seen.boot_id, seen.live_objects

    async def _call(self, operation: Callable[[Any], T], deadline: Deadline) -> T:
        # Every operation may be repeated: those that change something carry a key.
        return await self.edge.call(
            lambda left: self._workers.run(lambda: self._invoke(operation, left)),
            deadline=deadline,
            safe=True,
        )

    def _invoke(self, operation: Callable[[Any], T], deadline: Deadline) -> T:
        _orb(self._timeout)
        limit_calls(deadline)
        generation, factory = self._binding.current(deadline.remaining())
        try:
            return operation(factory)
        except OrbCore.WidgetNotFound:
            raise Gone from None
        except OrbCore.StaleRevision:
            raise Stale from None
        except OrbCore.InvalidWidget as error:
            raise Refused(error.reason) from None
        except CORBA.SystemException as error:
            self._binding.doubt(generation)
            raise translate(error) from error

    def _spec(self, spec: OrbSpec) -> Any:
        # A naive client that retries blindly makes up a new key for each attempt.
        key = str(uuid4()) if self._blind else spec.key
        return OrbCore.Spec(spec.widget_id, spec.revision, spec.critical, spec.payload.encode(), key)


class Binding:
    """The published reference, fetched by one thread at a time and at most once a second.

    After an error the reference is doubted: the next call fetches it again, because the
    server may have been restarted and its references with it.
    """

    def __init__(self, contact: Callable[[], Any], clock: Clock, *, rebind: bool = True) -> None:
        """Fetch with *contact*; with *rebind* off the first reference is kept for ever."""
        self._contact = contact
        self._clock = clock
        self._rebind = rebind
        self._lock = threading.Lock()
        self._factory: Any = None
        self._failures = 0
        self._doubted = False
        self._bound_at = -math.inf
        self.generation = 0

    def current(self, patience_s: float) -> tuple[int, Any]:
        """Return the reference and its generation, fetching it when necessary.

        Who finds another at it waits for him, for *patience_s* at most, and shares his failure.
        """
        if self._factory is None or (self._doubted and self._due()):
            failures = self._failures
            if not self._lock.acquire(timeout=min(patience_s, threading.TIMEOUT_MAX)):
                raise NotSent(UNBOUND)
            try:
                self._fetch(failures)
            finally:
                self._lock.release()
        return self.generation, self._factory

    def doubt(self, generation: int) -> None:
        """Note that a call on the reference of *generation* met a CORBA system exception."""
        if self._rebind and generation == self.generation:
            self._doubted = True

    def _due(self) -> bool:
        return self._clock() - self._bound_at >= REBIND_S

    def _fetch(self, failures: int) -> None:
        if self._factory is not None and not (self._doubted and self._due()):
            return  # another thread was quicker
        if self._factory is None and failures != self._failures:
            raise NotSent(UNBOUND)
        self._bound_at = self._clock()
        try:
            self._factory = self._contact()
        except CORBA.SystemException as error:
            self._failures += 1
            raise translate(error) from error
        self._doubted = False
        self.generation += 1


def portions(specs: Sequence[OrbSpec]) -> Iterator[Sequence[OrbSpec]]:
    """Split *specs* so that the payloads of each part fit into one message; a single larger one goes alone."""
    start = size = 0
    for number, spec in enumerate(specs):
        length = len(spec.payload.encode())
        if number > start and size + length > MESSAGE:
            yield specs[start:number]
            start, size = number, 0
        size += length
    if specs:
        yield specs[start:]


def translate(error: CORBA.SystemException) -> AttemptTimeout | NotSent | OutcomeUnknown | Refused:
    """Return what a CORBA system exception means: its name and completion status decide."""
    if isinstance(error, CORBA.MARSHAL) and error.completed == CORBA.COMPLETED_NO:
        return Refused("it does not fit into a message")  # nor will it next time
    if isinstance(error, CORBA.OBJECT_NOT_EXIST):
        return NotSent("the reference is no longer valid")
    if error.completed == CORBA.COMPLETED_NO:
        return NotSent("the object broker cannot be reached")
    if isinstance(error, CORBA.TIMEOUT):
        return AttemptTimeout("no answer from the object broker in time")
    return OutcomeUnknown("the connection to the object broker was lost")


def limit_calls(deadline: Deadline) -> None:
    """Bound the calls of this thread by *deadline*, more closely than the ORB does anyway."""
    omniORB.setClientThreadCallTimeout(_milliseconds(deadline.remaining()))


def _milliseconds(seconds: float) -> int:
    return 0 if math.isinf(seconds) else max(1, int(seconds * 1000))


@cache
def _orb(timeout_ms: int) -> Any:
    """Return the ORB of this process, started by the first who asks."""
    # No timeout for connecting: it would take the place of the caller's time whenever a call has to connect.
    options = {
        "-ORBclientCallTimeOutPeriod": timeout_ms,
        "-ORBsupportPerThreadTimeOut": 1,  # without it the limit of a thread is taken, and ignored
        "-ORBmaxGIOPConnectionPerServer": CONNECTIONS,
        "-ORBtraceLevel": 0,
    }
    words = [str(word) for option in options.items() for word in option]
    return CORBA.ORB_init(["widget-core", *words], CORBA.ORB_ID)


def _first_contact(orb: Any, address: Address) -> Any:
    known = orb.string_to_object(f"corbaloc:iiop:1.2@{address}/WidgetFactory")
    factory = known._unchecked_narrow(OrbCore.WidgetFactory)  # noqa: SLF001 - omniORB's name for it
    return factory.published()


def _object(view: Any) -> OrbObject:
    return OrbObject(
        widget_id=view.id,
        native_id=view.native_id,
        revision=view.revision,
        critical=bool(view.critical),
        payload=bytes(view.payload).decode(),
    )
