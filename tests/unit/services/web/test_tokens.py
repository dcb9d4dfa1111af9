"""Tokens are verified here, and what cannot be verified is refused."""

# ruff: noqa: ARG002, S106 - fakes take what the real ones take; made-up secrets

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.resilience import Deadline, NotSent
from services.security.keys import KeyRing, make
from services.web.problems import Problem
from services.web.tokens import KeySet, Principal, Verifier


@pytest.fixture
def ring():
    made = KeyRing()
    made.load([make()])
    return made


class Source:
    """Key set documents, counted; or an error."""

    def __init__(self, ring):
        self.ring, self.fetched, self.error = ring, 0, None

    async def __call__(self, deadline):
        self.fetched += 1
        if self.error:
            raise self.error
        return self.ring.document()


@pytest.fixture
def source(ring):
    return Source(ring)


@pytest.fixture
def verify(run, source, clock):
    verifier = Verifier(KeySet(source, cooldown_s=5.0, clock=clock))

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
    """A hundred unknown key ids are one fetch in five seconds; known keys go on working."""
    verify(ring.sign("user", "viewer")[0])
    foreign = KeyRing()
    for _ in range(100):
        foreign.load([make()])
        assert refused(verify, foreign.sign("user", "admin")[0]) == (401, "token-invalid")
    assert source.fetched == 1
    clock.pass_(5)
    refused(verify, foreign.sign("user", "admin")[0])
    assert source.fetched == 2
    verify(ring.sign("user", "viewer")[0])


def test_without_cooldown_each_unknown_key_is_a_fetch(run, source, clock):
    """With `verify.jwks_cooldown` off an attacker decides how often keys are fetched."""
    keys = KeySet(source, cooldown_s=0.0, clock=clock)
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


def test_without_any_key_it_asks_again_soon(verify, source, ring, clock):
    """At the start nobody can be served: a failed fetch is repeated after a moment."""
    source.error = NotSent()
    token = ring.sign("user", "viewer")[0]
    with pytest.raises(NotSent):
        verify(token)
    source.error = None
    clock.pass_(0.5)
    assert verify(token).user_id == "user"


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


def test_foreign_signatures_and_algorithms_are_refused(verify, ring):
    """Another key under our key id, a symmetric algorithm, none at all: 401."""
    kid = ring._keys[0].kid
    claims = jwt.decode(ring.sign("user", "admin")[0], options={"verify_signature": False})
    for key, algorithm in ((Ed25519PrivateKey.generate(), "EdDSA"), ("s" * 40, "HS256"), (None, "none")):
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})
        assert refused(verify, token) == (401, "token-invalid")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.one_of(st.text(max_size=200), st.lists(st.text("abcXYZ019-_=", max_size=40), max_size=5).map(".".join)))
def test_nonsense_is_401_and_nothing_else(verify, token):
    """Whatever comes as a token, the parser does not fall over."""
    assert refused(verify, token)[0] == 401


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
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
