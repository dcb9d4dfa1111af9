"""A create that is recorded is acknowledged, whatever happens to the steps after it."""

# ruff: noqa: ARG002 - fakes take what the real ones take

import time

import pytest

from services.contract.widgets import WidgetIn
from services.drivers.postgres import LockTimeout
from services.resilience import BulkheadFull, Deadline, DeadlineExceeded, NotSent, OutcomeUnknown
from services.web.problems import Problem
from services.widget_core.model import Mutation, Row, Written
from services.widget_core.orb import Refused
from services.widget_core.writing import Writer

SOMEBODY = Mutation(principal="somebody", key="k", fingerprint=b"")


def row(state):
    """Return the widget w in *state*."""
    return Row(id="w", version=1, state=state, body=f'{{"state": "{state}"}}')


class FakeRecord:
    """A record of one widget, whose later steps may fail."""

    def __init__(self, **errors):
        self.errors, self.undone = errors, 0

    async def create(self, wid, fields, mutation, deadline):
        """Record it as pending."""
        return Written(status=201, body=row("pending").body, rows=(row("pending"),), entries=(1,))

    async def activate(self, written, mutation, deadline):
        """Make it active."""
        if "activate" in self.errors:
            raise self.errors["activate"]
        return row("active")

    async def undo(self, wid, mutation, deadline):
        """Take it back."""
        if "undo" in self.errors:
            raise self.errors["undo"]
        self.undone += 1


class FakeOrb:
    """An ORB Core that makes what is wanted, or fails."""

    def __init__(self, error=None):
        self.error, self.heard = error, []

    async def create(self, spec, deadline):
        """Make a native object."""
        self.heard.append(spec)
        if self.error:
            raise self.error


class FakeReader:
    """Something that remembers rows."""

    def __init__(self):
        self.rows = []

    async def remember(self, row, deadline):
        """Take note."""
        self.rows.append(row)


@pytest.fixture
def create(run):
    def create(record, orb, payload=None):
        writer = Writer(record, orb, FakeReader(), None)
        wanted = WidgetIn(name="gauge", payload=payload or {})
        return run(writer.create(wanted, SOMEBODY, Deadline.after(5, time.monotonic)))

    return create


def on(edge, error):
    """Return *error* as an edge of that name raises it."""
    error.edge = edge
    return error


def test_a_created_widget_is_active(create):
    """Recorded, made and activated: nothing is degraded."""
    written, degraded = create(FakeRecord(), FakeOrb())
    assert (written.rows, degraded) == ((row("active"),), None)


@pytest.mark.parametrize("error", [BulkheadFull(), DeadlineExceeded(), NotSent(), OutcomeUnknown()])
def test_a_recorded_widget_is_acknowledged_though_it_cannot_be_activated(create, error):
    """The row and its outbox entry are committed: "not done" would make the caller do it again."""
    written, degraded = create(FakeRecord(activate=on("widget-core.postgres", error)), FakeOrb())
    assert (written.status, written.rows, degraded) == (201, (row("pending"),), "widget-core.postgres")


def test_a_locked_row_is_left_to_whoever_holds_it(create):
    """The relay is just about to finish it: pending, and nothing is degraded."""
    written, degraded = create(FakeRecord(activate=LockTimeout()), FakeOrb())
    assert (written.status, written.rows, degraded) == (201, (row("pending"),), None)


@pytest.mark.parametrize("error", [BulkheadFull(), NotSent(), OutcomeUnknown()])
def test_a_recorded_widget_is_acknowledged_though_its_object_cannot_be_made(create, error):
    """ORB Core is away: the relay makes the object later."""
    written, degraded = create(FakeRecord(), FakeOrb(on("widget-core.orb-core", error)))
    assert (written.status, written.rows, degraded) == (201, (row("pending"),), "widget-core.orb-core")


def test_what_orb_core_refuses_is_taken_back(create):
    """Nothing is left of it, and the caller learns why."""
    record = FakeRecord()
    with pytest.raises(Problem) as refused:
        create(record, FakeOrb(Refused()))
    assert (refused.value.status, record.undone) == (422, 1)


def test_what_cannot_be_taken_back_is_recorded_still(create):
    """ORB Core refuses, the record is away: "not done" would not be true."""
    written, degraded = create(FakeRecord(undo=on("widget-core.postgres", NotSent())), FakeOrb(Refused()))
    assert (written.status, written.rows, degraded) == (201, (row("pending"),), "widget-core.postgres")


def test_text_goes_to_orb_core_as_it_is(create):
    """No escapes that make it six times as long as the record has it."""
    orb = FakeOrb()
    create(FakeRecord(), orb, {"a": "ü"})
    assert orb.heard[0].payload == '{"a": "ü"}'
