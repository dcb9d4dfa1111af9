"""Tokens are verified here, and what cannot be verified is refused."""

# ruff: noqa: S106 - fakes take what the real ones take; made-up secrets

import asyncio
import contextlib
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.resilience import AttemptTimeout, Deadline, NotSent, OutcomeUnknown
from services.security.keys import KeyRing, make
from services.web.problems import Problem
from services.web.tokens import ACCESS_S, KeySet, Principal, Verifier


@pytest.fixture
def ring():
    made = KeyRing()
    made.load([make()])
    return made


class Source:
    """Key set documents, counted; or an error. Each takes its time, and the deadline is kept."""

    def __init__(self, ring):
        self.ring, self.fetched, self.error, self.takes_s = ring, 0, None, 0.0

    async def __call__(self, deadline):
        self.fetched += 1
        if self.takes_s > deadline.remaining():
            raise AttemptTimeout
        await asyncio.sleep(self.takes_s)
        if self.error:
            raise self.error
        return self.ring.document()


@pytest.fixture
def source(ring):
    return Source(ring)


@pytest.fixture
def keys(source, clock):
    return KeySet(source, refresh_s=5.0, cooldown_s=5.0, clock=clock)


@pytest.fixture
def verify(run, keys, clock):
    verifier = Verifier(keys)

    def verify(token):
        return run(verifier(token, Deadline.after(1, clock)))

    return verify


def refused(verify, token) -> tuple[int, str]:
    with pytest.raises(Problem) as problem:
        verify(token)
    return problem.value.status, problem.value.slug


def test_a_good_token(verify, ring, source):
    """It says who asks, and is verified with keys fetched once."""
    token, token_id = ring.sign("user", "editor")
    assert [verify(token).token_id for _ in range(3)] == [token_id] * 3
    assert source.fetched == 1


def test_unknown_key_ids_drive_no_storm(verify, source, clock, ring):
    """A hundred unknown key ids are one fetch in five seconds: 503 for the others; known keys go on working."""
    verify(ring.sign("user", "viewer")[0])
    foreign = KeyRing()
    for _ in range(100):
        foreign.load([make()])
        assert refused(verify, foreign.sign("user", "admin")[0]) == (503, "keys-unavailable")
    assert source.fetched == 1
    clock.pass_(5)
    assert refused(verify, foreign.sign("user", "admin")[0]) == (401, "token-invalid")
    assert source.fetched == 2
    verify(ring.sign("user", "viewer")[0])


def test_a_new_key_is_never_called_forged(verify, ring, clock):
    """Right after a fetch a token of a newer key cannot be judged; after the cooldown it is good."""
    verify(ring.sign("user", "viewer")[0])
    ring.load([make(), *ring._keys])
    fresh = ring.sign("user", "viewer")[0]
    assert refused(verify, fresh) == (503, "keys-unavailable")
    clock.pass_(5)
    assert verify(fresh).user_id == "user"


def test_a_withdrawn_key_is_trusted_no_longer_than_until_the_next_fetch(run, verify, keys, ring, clock):
    """Neither a token that was seen before nor a new one of that key gets in."""
    stolen = KeyRing()
    stolen.load(ring._keys)
    seen = ring.sign("user", "viewer")[0]
    verify(seen)
    ring.load([make()])
    clock.pass_(5)
    run(some_refreshes(keys, 0.1))
    for token in (stolen.sign("user", "admin")[0], seen):
        assert refused(verify, token)[0] in (401, 503)
    assert verify(ring.sign("user", "viewer")[0]).user_id == "user"


def test_keys_are_fetched_again_and_again(run, keys, source, ring):
    """Every five seconds, whether anybody asks or not, and whether the last fetch went well or not."""
    source.error = NotSent()
    run(some_refreshes(keys, 12.0))
    assert source.fetched == 3
    source.error = None
    run(some_refreshes(keys, 12.0))
    assert run(keys.key(ring._keys[0].kid, Deadline.never(keys._clock)))
    assert source.fetched == 6


def test_who_has_no_time_does_not_spoil_the_fetch_for_the_others(run, keys, source, ring, clock):
    """A fetch has a deadline of its own: junk without time begins it, and a token that comes meanwhile is verified."""
    source.takes_s = 0.5
    token, verify = ring.sign("user", "viewer")[0], Verifier(keys)
    foreign = KeyRing()
    foreign.load([make()])

    async def story():
        with pytest.raises(Problem) as refused:
            await verify(foreign.sign("user", "admin")[0], Deadline.after(0.0, clock))
        return refused.value.status, (await verify(token, Deadline.after(1.0, clock))).user_id

    assert run(story()) == (503, "user")
    assert source.fetched == 1


def test_without_cooldown_each_unknown_key_is_a_fetch(run, source, clock):
    """With `verify.jwks_cooldown` off an attacker decides how often keys are fetched."""
    keys = KeySet(source, refresh_s=5.0, cooldown_s=0.0, clock=clock)
    for _ in range(10):
        with pytest.raises(Problem):
            run(keys.key("unknown", Deadline.after(1, clock)))
    assert source.fetched == 10


def test_while_security_is_away_the_known_keys_are_good(verify, source, ring, clock):
    """Known keys verify; an unknown one cannot be judged, which is 503 and not 401."""
    verify(ring.sign("user", "viewer")[0])
    source.error = NotSent()
    clock.pass_(6)
    foreign = KeyRing()
    foreign.load([make()])
    with pytest.raises(NotSent):
        verify(foreign.sign("user", "admin")[0])
    assert refused(verify, foreign.sign("user", "admin")[0]) == (503, "keys-unavailable")
    assert verify(ring.sign("user", "viewer")[0]).role == "viewer"


def test_known_keys_are_good_for_the_life_of_a_token(verify, source, ring, clock):
    """What was not fetched for a quarter of an hour may have been withdrawn long ago."""
    verify(ring.sign("user", "viewer")[0])
    source.error = NotSent()
    clock.pass_(ACCESS_S + 1)
    with pytest.raises(NotSent):
        verify(ring.sign("user", "viewer")[0])


def test_a_failed_fetch_is_repeated_soon(verify, source, ring, clock):
    """It costs nobody the whole cooldown."""
    source.error = NotSent()
    token = ring.sign("user", "viewer")[0]
    with pytest.raises(NotSent):
        verify(token)
    source.error = None
    clock.pass_(0.5)
    assert verify(token).user_id == "user"


async def some_refreshes(keys, seconds):
    """Let the background work run for *seconds*."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await keys.run()


@pytest.mark.parametrize(
    "document",
    [{}, [], {"keys": None}, {"keys": [{}]}, {"keys": ["x"]}, {"keys": [{"kid": "k", "kty": "OKP", "crv": "x"}]}],
)
def test_keys_that_are_none_leave_the_known_ones_in_place(verify, keys, run, source, ring, document):
    """A key set document that makes no sense is a fetch that failed, in the background and for who asks."""
    verify(ring.sign("user", "viewer")[0])
    source.ring = type("Nonsense", (), {"document": lambda _: document})()
    keys._clock.pass_(5)
    run(some_refreshes(keys, 0.1))
    foreign = KeyRing()
    foreign.load([make()])
    with pytest.raises(OutcomeUnknown):
        verify(foreign.sign("user", "admin")[0])
    assert verify(ring.sign("user", "viewer")[0]).role == "viewer"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"iss": "somebody"},
        {"aud": "something"},
        {"typ": "refresh"},
        {"sub": 5},
        {"role": None},
        {"iat": time.time() + 3600},
        {"jti": None},
    ],
)
def test_wrong_claims_are_refused(verify, ring, changes):
    """Signed by us, but not meant like this."""
    claims = jwt.decode(ring.sign("user", "admin")[0], options={"verify_signature": False}) | changes
    key = ring._keys[0]
    claims = {name: value for name, value in claims.items() if value is not None}
    assert refused(verify, jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.kid}))[0] == 401


@pytest.mark.parametrize(
    ("claim", "ahead_s", "good"), [("exp", -1, True), ("exp", -4, False), ("iat", 1, True), ("iat", 4, False)]
)
def test_clocks_may_differ_by_two_seconds(verify, ring, claim, ahead_s, good):
    """A little skew between machines is forgiven, more is not."""
    claims = jwt.decode(ring.sign("user", "admin")[0], options={"verify_signature": False})
    key = ring._keys[0]
    claims[claim] = time.time() + ahead_s
    token = jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.kid})
    if good:
        assert verify(token).user_id == "user"
    else:
        assert refused(verify, token)[0] == 401


def test_foreign_signatures_and_algorithms_are_refused(verify, ring):
    """Another key under our key id, a symmetric algorithm, none at all: 401."""
    kid = ring._keys[0].kid
    claims = jwt.decode(ring.sign("user", "admin")[0], options={"verify_signature": False})
    for key, algorithm in ((Ed25519PrivateKey.generate(), "EdDSA"), ("s" * 40, "HS256"), (None, "none")):
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})
        assert refused(verify, token) == (401, "token-invalid")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.one_of(st.text(max_size=200), st.lists(st.text("abcXYZ019-_=", max_size=40), max_size=5).map(".".join)))
def test_nonsense_is_401_and_nothing_else(verify, token):
    """Whatever comes as a token, the parser does not fall over."""
    assert refused(verify, token)[0] == 401


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_strange_headers_are_401(verify, value):
    """A header with a strange key id or algorithm is refused."""
    import base64  # noqa: PLC0415 - only here

    header = base64.urlsafe_b64encode(json.dumps({"alg": "EdDSA", "kid": value}).encode()).decode().rstrip("=")
    assert refused(verify, f"{header}.e30.AAAA")[0] in (401, 503)


def test_roles_are_ranked():
    """An editor may do what a viewer may, and not what an administrator may."""
    who = Principal(user_id="u", role="editor", token_id="t", issued_at=0, expires_at=0)
    who.needs("viewer")
    who.needs("editor")
    with pytest.raises(Problem):
        who.needs("admin")
