"""The relay delivers at least once, in order, and marks afterwards."""

# ruff: noqa: ARG002 - fakes take what the real ones take; made-up secrets

import asyncio
import contextlib

import pytest

from services.resilience import NotSent
from services.widget_core import sql
from services.widget_core.model import Entry
from services.widget_core.orb import Gone, Refused, Stale
from services.widget_core.relay import Relay


def entry(seq, kind, widget="w", revision=1):
    """Return an outbox entry."""
    return Entry(
        seq=seq, widget_id=widget, kind=kind, revision=revision, critical=False, payload="{}", op_id=f"op{seq}"
    )


class FakeRecord:
    """An outbox in a list; statements are written down."""

    def __init__(self, *entries):
        self.outbox, self.done = list(entries), []
        self.made, self.failed = [], []

    async def claim(self, limit, deadline):
        """Return what is in the outbox."""
        return list(self.outbox)

    async def background(self, statement, values, deadline):
        """Take entries out when they are marked."""
        name = next(
            name for name in ("DELIVERED", "REFUSED", "RELEASE", "MARK") if statement.startswith(getattr(sql, name))
        )
        self.done.append(name)
        if name != "RELEASE":
            self.outbox = [one for one in self.outbox if one.seq not in values["seqs"]]
        if name == "DELIVERED":
            self.made += values["made"]
        if name == "REFUSED":
            self.failed += values["ids"]
        return [("w", 1, "active", "{}")] if name == "DELIVERED" else []


class FakeOrb:
    """An ORB Core that writes down what it hears, or answers with an error once."""

    def __init__(self, **errors):
        self.heard, self.errors = [], errors

    def _hear(self, operation, what):
        error = self.errors.pop(operation, None)
        if error:
            raise error
        self.heard.append((operation, what))

    async def create_many(self, specs, deadline):
        """Hear of many."""
        self._hear("create_many", [one.widget_id for one in specs])

    async def create(self, spec, deadline):
        """Hear of one."""
        self._hear("create", spec.widget_id)

    async def update(self, spec, deadline):
        """Hear of a revision."""
        self._hear("update", spec.revision)

    async def remove(self, widget_id, key, deadline):
        """Hear of a removal."""
        self._hear("remove", widget_id)


class FakeReader:
    """Something that remembers nothing."""

    async def remember(self, row, deadline):
        """Take note of nothing."""


@pytest.fixture
def deliver(run):
    def deliver(record, orb, **more):
        return run(Relay(record, orb, FakeReader(), pause_s=0.1, **more).once())

    return deliver


def test_entries_are_delivered_and_then_marked(deliver):
    """Creates together, the rest one by one, in the order of the outbox."""
    record, orb = (
        FakeRecord(entry(1, "create", "a"), entry(2, "create", "b"), entry(3, "update"), entry(4, "remove")),
        FakeOrb(),
    )
    assert deliver(record, orb) == 4
    assert orb.heard == [("create_many", ["a", "b"]), ("update", 1), ("remove", "w")]
    assert record.outbox == []


def test_what_was_not_delivered_is_not_marked(deliver):
    """An outage keeps the entry, and gives the lease back for the next round."""
    record = FakeRecord(entry(1, "update"))
    with pytest.raises(NotSent):
        deliver(record, FakeOrb(update=NotSent()))
    assert (len(record.outbox), record.done) == (1, ["RELEASE"])


def test_without_mark_after_send_an_outage_loses_the_entry(deliver):
    """With `outbox.mark_after_send` off what was not delivered is forgotten."""
    record = FakeRecord(entry(1, "update"))
    with pytest.raises(NotSent):
        deliver(record, FakeOrb(update=NotSent()), mark_after=False)
    assert record.outbox == []


def test_an_update_of_what_is_gone_is_a_create(deliver):
    """After a restart ORB Core knows nothing: the object is made again."""
    orb = FakeOrb(update=Gone())
    deliver(FakeRecord(entry(1, "update")), orb)
    assert orb.heard == [("create", "w")]


def test_a_late_revision_is_done(deliver):
    """ORB Core is further already: nothing is left to do."""
    record = FakeRecord(entry(1, "update"))
    deliver(record, FakeOrb(update=Stale()))
    assert record.outbox == []


def test_what_orb_core_refuses_is_undone(deliver):
    """A widget that it will not hold is marked as failed; the others of the batch are made."""
    record, orb = (
        FakeRecord(entry(1, "create", "a"), entry(2, "create", "b")),
        FakeOrb(create_many=Refused(), create=Refused()),
    )
    deliver(record, orb)
    assert orb.heard == [("remove", "a"), ("create", "b")]
    assert (record.failed, record.made, record.outbox) == (["a"], ["b"], [])


def test_a_refused_update_stands_in_nobodys_way(deliver):
    """The widget has failed, and ORB Core keeps no former state of it; the next entry is delivered."""
    record, orb = (
        FakeRecord(entry(1, "update", "a"), entry(2, "remove", "b")),
        FakeOrb(update=Refused()),
    )
    deliver(record, orb)
    assert orb.heard == [("remove", "a"), ("remove", "b")]
    assert (record.failed, record.made, record.outbox) == (["a"], [], [])


def test_an_update_of_what_is_gone_may_be_refused_too(deliver):
    """ORB Core was restarted, and will not hold the widget: it has failed."""
    record = FakeRecord(entry(1, "update", "a"))
    deliver(record, FakeOrb(update=Gone(), create=Refused()))
    assert (record.failed, record.outbox) == (["a"], [])


def test_an_empty_outbox_is_no_work(deliver):
    """Nothing to do, nothing asked of ORB Core."""
    orb = FakeOrb()
    assert deliver(FakeRecord(), orb) == 0
    assert orb.heard == []


class OneAtATime(FakeRecord):
    """An outbox whose entries belong to one widget: only the oldest can be claimed."""

    def __init__(self, *entries):
        super().__init__(*entries)
        self.empty = asyncio.Event()

    async def claim(self, limit, deadline):
        """Return the oldest."""
        if not self.outbox:
            self.empty.set()
        return self.outbox[:1]


def test_the_entries_of_one_widget_follow_each_other_without_a_rest(run):
    """Twenty updates of one widget are delivered although the pause between two looks is an hour."""
    record = OneAtATime(*(entry(seq, "update") for seq in range(20)))

    async def empty():
        relay = asyncio.create_task(Relay(record, FakeOrb(), FakeReader(), pause_s=3600).run())
        async with asyncio.timeout(5):
            await record.empty.wait()
        relay.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await relay

    run(empty())
    assert record.outbox == []


class Purged:
    """A record with so many old keys, taken away a thousand at a time, after an error."""

    def __init__(self, keys):
        self.keys, self.asked, self.errors = keys, 0, [NotSent()]

    async def background(self, statement, values, deadline):
        """Take some away, and say how many."""
        self.asked += 1
        if self.errors:
            raise self.errors.pop()
        gone = min(self.keys, values["limit"])
        self.keys -= gone
        return [(gone,)]


def test_old_keys_are_purged_in_batches_until_none_is_left(run, caplog):
    """One statement for all of a day would outlast its timeout, for ever; a failure is logged, and tried again soon."""
    record = Purged(2500)

    async def hours():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(600):
                await Relay(record, FakeOrb(), FakeReader(), pause_s=1).purge()

    with caplog.at_level("INFO"):
        run(hours())
    assert (record.keys, record.asked) == (0, 4)
    assert "old keys" in caplog.text
