"""Keys are sealed, passwords hashed, and the audit chain breaks where somebody touched it."""

# ruff: noqa: ARG002 - fakes take what the real ones take; made-up secrets

import dataclasses
import time

import pytest

from services.drivers.postgres import LockTimeout
from services.profiles import LAB
from services.resilience import Deadline, Overloaded
from services.security.audit import AuditRecord, Head, first_broken
from services.security.keys import KeyRing, Sealer, make
from services.security.passwords import Passwords
from services.security.store import Store
from services.web.problems import Problem
from tests.unit.services.fakes import edge


def chain(length, actor="a"):
    """Return a whole chain of records."""
    records, before = [], b""
    for seq in range(1, length + 1):
        record = AuditRecord(seq=seq, at="t", actor=actor, action="login", subject="s", detail="", digest=b"")
        record = dataclasses.replace(record, digest=record.expected(before))
        before = record.digest
        records.append(record)
    return records


def test_a_whole_chain():
    """Nothing is broken, nor in an empty log."""
    assert first_broken(chain(5)) is None
    assert first_broken([]) is None


def test_what_was_changed_or_taken_out_shows():
    """A changed record, a removed one, a swapped pair: the first wrong place is named."""
    changed = chain(5)
    changed[2] = dataclasses.replace(changed[2], actor="somebody else")
    assert first_broken(changed) == 3
    shortened = chain(5)
    del shortened[1]
    assert first_broken(shortened) == 2
    swapped = chain(5)
    swapped[3], swapped[4] = swapped[4], swapped[3]
    assert first_broken(swapped) == 4


def test_a_head_that_was_kept_outside_shows_what_no_chain_can():
    """A log that has grown still has the head; one that was cut, or written anew with all digests, has not."""
    head = Head.of(chain(5))
    assert head == Head.parse(str(head))
    assert head.is_in(chain(5))
    assert head.is_in(chain(8))
    for other in (chain(4), chain(5, actor="b"), chain(8, actor="b"), []):
        assert first_broken(other) is None
        assert not head.is_in(other)
    assert Head.of([]).is_in(chain(2))


@pytest.mark.parametrize("text", ["", "5", "5:", "x:ab", "5:xy", "-1:" + "0" * 64, "5:" + "0" * 62])
def test_what_is_no_head_is_refused(text):
    """A typing error is not taken for a changed log."""
    with pytest.raises(ValueError, match="head"):
        Head.parse(text)


def test_sealed_keys_open_only_with_their_secret():
    """Another secret, or damage, is an error and not a key."""
    key = make().private
    sealed = Sealer("secret").seal(key)
    assert Sealer("secret").open(sealed).private_bytes_raw() == key.private_bytes_raw()
    for sealer, text in ((Sealer("other"), sealed), (Sealer("secret"), sealed[:-1] + b"x")):
        with pytest.raises(ValueError, match="cannot be opened"):
            sealer.open(text)


def test_without_keys_nothing_is_signed():
    """Fail closed: 503."""
    with pytest.raises(Problem) as problem:
        KeyRing().sign("u", "admin")
    assert problem.value.status == 503


@pytest.mark.parametrize("bulkhead", [True, False])
def test_passwords(bulkhead):
    """The right one passes, a wrong one and an unknown user do not; with or without own threads."""
    import asyncio  # noqa: PLC0415 - real threads need a real loop

    passwords = Passwords(LAB, bulkhead=bulkhead)

    async def story():
        deadline = Deadline.after(5, time.monotonic)
        stored = await passwords.hash("right one", deadline)
        tries = [("right one", stored), ("wrong one", stored), ("right one", None), ("right one", "nonsense")]
        return [await passwords.check(password, known, deadline) for password, known in tries]

    assert asyncio.run(story()) == [True, False, False, False]


class FakePool:
    """A pool that writes down which statements would be run, and fails when told."""

    def __init__(self, error=None):
        self.audits, self.error = [], error

    async def run(self, work, deadline):
        """Run *work* with itself as connection, or raise the error."""
        if self.error:
            raise self.error
        return work(self)

    read = run

    description = None

    def cursor(self):
        """Return itself."""
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def execute(self, statement, values):
        """Write down an audit record of its own, or whether one is part of the action."""
        self.audits.append("apart" if statement.startswith("SELECT audit_append") else values["audit"])


def test_an_action_and_its_record_are_one_statement(run):
    """With `audit.same_tx` off the record is written afterwards, if that works."""
    for same_tx, expected in ((True, [True]), (False, [False, "apart"])):
        pool = FakePool()
        store = Store(edge(), pool, same_tx=same_tx)
        run(store.write("SELECT %(audit)s", {"id": "u"}, Deadline.after(1, time.monotonic)))
        assert pool.audits == expected


@pytest.mark.parametrize("same_tx", [True, False])
@pytest.mark.parametrize("how", [Store.read, Store.write])
def test_what_others_hold_for_too_long_is_not_done(run, how, same_tx):
    """Whoever asks hears that he may come back, and no internal error."""
    store = Store(edge(), FakePool(LockTimeout()), same_tx=same_tx)
    with pytest.raises(Overloaded) as raised:
        run(how(store, "SELECT %(audit)s", {"id": "u"}, Deadline.after(1, time.monotonic)))
    assert raised.value.retry_after is not None


def test_a_record_that_cannot_be_written_afterwards_is_missing(run):
    """With `audit.same_tx` off the action is done, and answered, all the same."""
    pool = FakePool()
    pool.execute = lambda statement, _: setattr(pool, "error", LockTimeout()) if "CASE" in statement else None
    store = Store(edge(), pool, same_tx=False)
    assert run(store.write("SELECT CASE WHEN %(audit)s", {"id": "u"}, Deadline.after(1, time.monotonic))) == []
