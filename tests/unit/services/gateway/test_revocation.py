"""Revoked tokens are refused, and without news nothing is changed any more."""

# ruff: noqa: ARG002, S106 - fakes take what the real ones take; made-up secrets

import pytest

from services.gateway.revocation import Revocations
from services.resilience import NotSent
from services.web.problems import Problem
from services.web.tokens import Principal
from tests.unit.services.fakes import FakeRedis

WHO = Principal(user_id="u", role="editor", token_id="t", issued_at=100.0, expires_at=1e12)


class Published(FakeRedis):
    """A Redis with a list of revocations."""

    def __init__(self, *members, mark=b"1"):
        super().__init__()
        self.members, self.mark = [member.encode() for member in members], mark

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


@pytest.fixture
def synced(run, clock):
    def synced(redis, **more):
        made = Revocations(redis, pause_s=1, grace_s=5, clock=clock, **more)
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
