"""The native view: from ORB Core, else as last known, else from the record, in small rations."""

import json
import time

import pytest

from services.resilience import Deadline, NotSent, Shed
from services.widget_core.model import NotFoundError
from services.widget_core.native import NativeReader
from services.widget_core.orb import Gone, OrbObject


class Orb:
    """An ORB Core with one object, or an error."""

    error = None

    async def get(self, wid, deadline):
        """Return the object."""
        assert deadline.remaining() > 0
        if self.error:
            raise self.error
        return OrbObject(widget_id=wid, native_id="n", revision=2, critical=True, payload='{"a": 1}')


class Record:
    """A record with one widget."""

    def __init__(self):
        self.bulk, self.rows = self, [(False, '{"a": 0}', 1)]

    async def read(self, _work, deadline):
        """Return the widget."""
        assert deadline.remaining() > 0
        return self.rows


@pytest.fixture
def ask(run):
    def ask(reader, wid="w"):
        body, source, _ = run(reader.get(wid, Deadline.after(1, time.monotonic)))
        return json.loads(body), source.value

    return ask


def test_orb_core_answers(ask):
    """The view is its own."""
    view, source = ask(NativeReader(Record(), Orb(), hard_ttl_s=30))
    assert (view["native_id"], view["payload"], source) == ("n", {"a": 1}, "miss")


def test_an_object_that_is_gone_is_looked_for_in_the_record(ask):
    """A restarted ORB Core is being refilled: the recorded view, stale. Not recorded: not found."""
    orb, record = Orb(), Record()
    reader = NativeReader(record, orb, hard_ttl_s=30)
    ask(reader)
    orb.error = Gone()
    view, source = ask(reader)
    assert (view["native_id"], view["revision"], source) == (None, 1, "stale")
    record.rows = []
    with pytest.raises(NotFoundError):
        ask(reader)


def test_without_orb_core_the_last_view_is_shown(ask):
    """Marked stale; an unknown one comes from the record; with `native.fallback` off it is an error."""
    orb, record = Orb(), Record()
    reader = NativeReader(record, orb, hard_ttl_s=30)
    ask(reader)
    orb.error = NotSent()
    assert ask(reader) == ({"id": "w", "native_id": "n", "revision": 2, "critical": True, "payload": {"a": 1}}, "stale")
    assert ask(reader, "other")[0]["native_id"] is None
    record.rows = []
    with pytest.raises(NotFoundError):
        ask(reader, "third")
    with pytest.raises(NotSent):
        ask(NativeReader(record, orb, hard_ttl_s=30, fallback=False))


def test_the_fallback_cannot_bury_the_record(ask):
    """Beyond a few a second it is shed."""
    orb = Orb()
    orb.error = NotSent()
    reader = NativeReader(Record(), orb, hard_ttl_s=30)
    seen = 0
    with pytest.raises(Shed):
        for seen in range(1000):
            ask(reader, f"w{seen}")
    assert 15 < seen < 100
