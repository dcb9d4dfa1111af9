"""The CORBA side: the servant of `WidgetFactory`, and the ORB that serves it."""

# ruff: noqa: ANN401 - CORBA objects are untyped

import logging
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from omniORB import CORBA

from services.idl import OrbCore, OrbCore__POA
from services.orb_core.objects import InvalidError, NativeObject, NotFoundError, ObjectStore, StaleError, View, Wanted
from services.web.environment import Address

log = logging.getLogger(__name__)
T = TypeVar("T")
KEY = b"WidgetFactory"
OWN_THREAD, SHARED = "24", "16"
MAX_PAGE = 1000
MAX_ECHO = 1024 * 1024


class WidgetFactoryServant(OrbCore__POA.WidgetFactory):  # type: ignore[misc]
    """Answer the calls of `orbcore.idl` from an `ObjectStore`."""

    def __init__(self, store: ObjectStore) -> None:
        """Serve *store*."""
        self._store = store
        self.reference: Any = None

    def published(self) -> Any:
        """Return the reference that clients are to use."""
        return self.reference

    def create(self, wanted: Any) -> Any:
        """Make the native object of a widget, or return the one that is there."""
        return _view(_answer(lambda: self._store.create(_wanted(wanted)), wanted.id))

    def create_many(self, wanted: list[Any]) -> list[Any]:
        """Make many native objects in one call."""
        return [_brief(_answer(lambda spec=spec: self._store.create(_wanted(spec)), spec.id)) for spec in wanted]

    def get(self, widget_id: str) -> Any:
        """Return the native object of a widget, by value."""
        return _view(_answer(lambda: self._store.get(widget_id), widget_id))

    def update(self, wanted: Any) -> Any:
        """Bring a native object to a later revision."""
        return _view(_answer(lambda: self._store.update(_wanted(wanted)), wanted.id))

    def remove(self, widget_id: str, key: str) -> None:
        """Release the native object of a widget."""
        _answer(lambda: self._store.remove(widget_id, key), widget_id)

    def list(self, after: str, limit: int) -> list[Any]:
        """Return one page of what is there."""
        return [_brief(item) for item in self._store.after(after, min(limit, MAX_PAGE))]

    def memory(self) -> Any:
        """Return the counters of native memory."""
        counters = self._store.memory.counters
        return OrbCore.Usage(
            self._store.boot_id,
            counters.allocations,
            counters.deallocations,
            counters.live_objects,
            counters.live_bytes,
            counters.zeroize_failures,
        )

    def echo(self, data: bytes) -> bytes:
        """Return the octets that came."""
        if len(data) > MAX_ECHO:
            raise CORBA.NO_RESOURCES(0, CORBA.COMPLETED_NO)
        return data

    def notify(self, _topic: str, _data: bytes) -> None:
        """Take note; nobody waits for an answer."""
        self._store.notified += 1


def activate(store: ObjectStore, listen: Address, publish: Address) -> tuple[str, Callable[[], None]]:
    """Start the ORB, serve *store* on *listen*; return the IOR that clients will see, and how to end.

    To end is to take no new calls and to wait until those that have begun are answered.

    Two references lead to the servant: a well-known one for the first contact (its key is
    the same after a restart) and the published one, which dies with the process, so that
    a client notices that all native objects are gone.
    """
    orb, root = _orb(listen, publish)
    well_known = orb.resolve_initial_references("omniINSPOA")
    servant = WidgetFactoryServant(store)
    root.activate_object(servant)
    servant.reference = root.servant_to_reference(servant)
    well_known.activate_object_with_id(KEY, servant)
    for poa in (root, well_known):
        poa._get_the_POAManager().activate()  # noqa: SLF001 - CORBA's name for it
    ior: str = orb.object_to_string(servant.reference)
    return ior, lambda: orb.shutdown(True)  # noqa: FBT003 - CORBA's `wait_for_completion`


def _orb(listen: Address, publish: Address) -> tuple[Any, Any]:
    """Return the ORB and its root adapter, whose first use is what opens the port."""
    arguments = [
        "orb-core",
        "-ORBendPoint", f"giop:tcp:{listen}",
        "-ORBendPointPublish", f"giop:tcp:{publish}",
        # The first connections have a thread each: no stranger's half message can hold up an old client.
        # Those beyond share a few, so that the threads are bounded whoever comes.
        "-ORBthreadPerConnectionUpperLimit", OWN_THREAD,
        "-ORBthreadPerConnectionLowerLimit", OWN_THREAD,
        "-ORBmaxServerThreadPoolSize", SHARED,
        "-ORBtraceLevel", "0",
    ]  # fmt: skip
    try:
        orb = CORBA.ORB_init(arguments, CORBA.ORB_ID)
        return orb, orb.resolve_initial_references("RootPOA")
    except CORBA.INITIALIZE:
        sys.stderr.write(f"cannot listen on {listen} for IIOP\n")
        sys.exit(2)


def _answer(operation: Callable[[], T], widget_id: str) -> T:
    try:
        return operation()
    except NotFoundError:
        raise OrbCore.WidgetNotFound(widget_id) from None
    except StaleError as error:
        raise OrbCore.StaleRevision(widget_id, error.current) from None
    except InvalidError as error:
        raise OrbCore.InvalidWidget(str(error)) from None
    except Exception:
        log.exception("unexpected error in the servant")
        raise CORBA.INTERNAL(0, CORBA.COMPLETED_MAYBE) from None


def _wanted(spec: Any) -> Wanted:
    return Wanted(
        widget_id=spec.id,
        revision=spec.revision,
        critical=bool(spec.critical),
        payload=bytes(spec.payload),
        key=spec.key,
    )


def _view(item: View) -> Any:
    return OrbCore.View(item.widget_id, item.native_id, item.revision, item.critical, item.payload)


def _brief(item: View | NativeObject) -> Any:
    return OrbCore.Brief(item.widget_id, item.revision)
