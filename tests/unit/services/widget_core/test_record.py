"""What the record makes of the database's answers."""

# ruff: noqa: ARG002 - fakes take what the real ones take

import contextlib
import time

import psycopg2.errors
import pytest

from services.drivers.postgres import LockTimeout
from services.resilience import Deadline, NotSent
from services.widget_core import sql
from services.widget_core.model import Fields, Mutation
from services.widget_core.record import Lane, Record, RecordPolicy
from tests.unit.services.fakes import edge


class LockedLane:
    """A lane on which somebody else holds every row."""

    async def write(self, work, deadline, *, safe):
        """Do nothing."""
        raise LockTimeout


def test_background_work_that_meets_a_lock_comes_back(run):
    """A row that a user is changing is no reason for the relay to break off: nothing was done."""
    record = Record(LockedLane(), LockedLane(), RecordPolicy())
    with pytest.raises(NotSent):
        run(record.background("", {}, Deadline.after(1, time.monotonic)))


class TakenBack:
    """A database in which another request has just used the key, and was undone before anybody looked."""

    def cursor(self):
        """Return itself."""
        return contextlib.nullcontext(self)

    def execute(self, statement, values):
        """Refuse the key; of why, there is no trace any more."""
        if statement != sql.WHY_NOT:
            raise psycopg2.errors.UniqueViolation

    def fetchall(self):
        """Return neither a key nor a widget."""
        return [(None, None, None, None)]

    async def run(self, work, deadline):
        """Run *work* with itself as connection."""
        return work(self)


def test_a_key_whose_first_request_was_undone_is_free_again(run):
    """Who came second was not served: he may come again, and never hears that his new widget does not exist."""
    lane = Lane(edge=edge(), pool=TakenBack())
    fields = Fields(name="gauge", description="", payload="{}", critical=False)
    mutation = Mutation(principal="somebody", key="k", fingerprint=b"")
    with pytest.raises(NotSent):
        run(Record(lane, lane, RecordPolicy()).create("w", fields, mutation, Deadline.after(1, time.monotonic)))
