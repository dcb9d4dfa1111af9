"""Both sides are compared page by page, and whatever is nobody's goes."""

# ruff: noqa: ARG002 - fakes take what the real ones take

from uuid import UUID

import pytest

from services.widget_core import reconcile, sql
from services.widget_core.reconcile import Reconciler


def wid(number):
    """Return a widget's id."""
    return str(UUID(int=number))


class FakeOrb:
    """An ORB Core with these objects, all at revision 1."""

    def __init__(self, *ids):
        self.ids = set(ids)

    async def list(self, after, limit, deadline):
        """Return the next ids."""
        return [(one, 1) for one in sorted(self.ids) if one > after][:limit]

    async def remove(self, widget_id, key, deadline):
        """Forget one."""
        self.ids.discard(widget_id)


class FakeRecord:
    """A record with these widgets; like the real one it knows no ids but UUIDs."""

    def __init__(self, *ids):
        self.ids, self.enqueued = list(ids), []

    async def background(self, statement, values, deadline):
        """Answer the three questions of a page."""
        if statement == sql.RECORDED:
            after, last = UUID(values["after"]), values["last"] and UUID(values["last"])
            found = [(one, 1) for one in self.ids if UUID(one) > after and (not last or UUID(one) <= last)]
            return found[: values["limit"]]
        if statement == sql.ORPHANS:
            return [(one,) for one in values["ids"] if str(UUID(one)) not in self.ids]
        self.enqueued += values["ids"]
        return []


class FakeRelay:
    """Something to be kicked."""

    def kick(self):
        """Take note of nothing."""


@pytest.fixture
def compare(run, monkeypatch):
    monkeypatch.setattr(reconcile, "PAGE", 3)

    def compare(record, orb):
        made = Reconciler(record, orb, FakeRelay(), pause_s=1)
        run(made.compare())
        return made

    return compare


def test_what_is_missing_is_made_and_what_is_nobodys_is_removed(compare):
    """Over several pages, whichever side has more on one."""
    record, orb = FakeRecord(*(wid(n) for n in range(1, 9))), FakeOrb(wid(2), wid(3), *(wid(n) for n in range(7, 15)))
    found = compare(record, orb)
    assert sorted(record.enqueued) == [wid(n) for n in (1, 4, 5, 6)]
    assert orb.ids == {wid(n) for n in (2, 3, 7, 8)}
    assert (found.repaired, found.orphans) == (4, 6)


@pytest.mark.parametrize(
    "foreign", [["zzz"], ["0", "1", "2", "3", "zzz"], [wid(3).replace("-", ""), "%00"], [wid(2) + "0"]]
)
def test_an_object_with_a_foreign_id_stands_in_nobodys_way(compare, foreign):
    """No widget can have such an id, whatever the database would make of it: it is an orphan."""
    record, orb = FakeRecord(*(wid(n) for n in range(1, 7))), FakeOrb(wid(1), wid(5), *foreign)
    compare(record, orb)
    assert sorted(record.enqueued) == [wid(n) for n in (2, 3, 4, 6)]
    assert orb.ids == {wid(1), wid(5)}
