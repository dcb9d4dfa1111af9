"""Revoked tokens are refused, and without news nothing is changed any more."""

# ruff: noqa: ARG002, S106 - fakes take what the real ones take; made-up secrets

import pytest

from services.gateway.revocation import Revocations
from services.resilience import NotSent
from services.web.problems import Problem
from services.web.tokens import Principal
from tests.unit.services.fakes import FakeRedis

NOW = 1_800_000_000.0
WHO = Principal(user_id="u", role="editor", token_id="t", issued_at=100.0, expires_at=1e12)


class Published(FakeRedis):
    """A Redis with a list of revocations."""

    def __init__(self, *members, at=NOW):
        super().__init__()
        self.members, self.mark = [member.encode() for member in members], repr(at).encode()

    def pipeline(self, *, transaction):
        """Return itself: commands are collected by nobody."""
        return self

    def zrangebyscore(self, key, low, high):
        """Ask for the list."""

    def get(self, key):
        """Ask for the mark."""

    async def execute(self):
        """Return the mark and the list."""
        return self.mark, self.members


def revocations_from(redis, clock, **more):
    """Return a copy to be made, by a gateway whose calendar begins with its clock."""
    begin = clock()
    return Revocations(redis, pause_s=1, grace_s=5, clock=clock, wall=lambda: NOW + clock() - begin, **more)


@pytest.fixture
def synced(run, clock):
    def synced(redis, **more):
        made = revocations_from(redis, clock, **more)
        run(made.sync())
        return made

    return synced


def refused(revocations, *, changes=False):
    try:
        revocations.check(WHO, changes=changes)
    except Problem as problem:
        return problem.status
    return None


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ((), None),
        (("jti:t|200.0",), 401),
        (("sub:u|200.0",), 401),
        (("sub:u|50.0",), None),
        (("sub:u|200.0", "sub:u|50.0"), 401),
        (("jti:other|200.0", "sub:other|200.0"), None),
    ],
)
def test_a_token_is_refused_by_its_id_or_its_users_moment(synced, members, status):
    """One token, or all that a user had before a moment; newer ones are good."""
    assert refused(synced(Published(*members))) == status


def test_without_news_reading_goes_on_and_changing_ends(synced, clock):
    """After the grace a change is 503; a read is still answered."""
    revocations = synced(Published())
    clock.pass_(5)
    assert refused(revocations, changes=True) is None
    clock.pass_(0.1)
    assert (refused(revocations, changes=True), refused(revocations)) == (503, None)


def test_a_copy_is_as_old_as_what_was_published(synced, run, clock):
    """Copies go on, but nobody publishes any more: after the grace a change is 503 all the same."""
    revocations = synced(Published())
    clock.pass_(5.1)
    run(revocations.sync())
    assert (revocations.age_s(), refused(revocations, changes=True)) == (pytest.approx(5.1), 503)


def test_before_the_first_copy_nothing_is_changed(clock):
    """A gateway that has just started knows of no revocation: it lets nobody change anything yet."""
    revocations = revocations_from(Published(), clock)
    assert (refused(revocations, changes=True), refused(revocations)) == (503, None)


def test_a_publisher_whose_clock_is_ahead_gives_no_time(synced, clock):
    """What was published in the future is as old as its copy."""
    revocations = synced(Published(at=NOW + 60.0))
    clock.pass_(5.1)
    assert revocations.stale()


def test_without_grace_changes_go_on_for_ever(synced, clock):
    """With `revocation.grace` off nobody notices that the list is old."""
    revocations = synced(Published(), enforce_grace=False)
    clock.pass_(10**6)
    assert refused(revocations, changes=True) is None


def test_an_empty_redis_is_no_news(synced, run, clock):
    """A Redis that lost its data has no mark: the old list is kept, and grows old."""
    redis = Published("jti:t|200.0")
    revocations = synced(redis)
    redis.members, redis.mark = [], None
    clock.pass_(6)
    run(revocations.sync())
    assert (refused(revocations), revocations.stale()) == (401, True)


def test_an_unreachable_redis_is_no_news(synced, run):
    """The error is the edge's; the list stays."""
    redis = Published("jti:t|200.0")
    revocations = synced(redis)
    redis.error = NotSent()
    with pytest.raises(NotSent):
        run(revocations.sync())
    assert refused(revocations) == 401
