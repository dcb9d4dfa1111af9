"""Users, tokens and roles: what is refused stays refused, and everything is on record."""

import base64
import contextlib
import json
import subprocess
import sys
import time
import uuid

import jwt
import psycopg2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conformance.platform.conftest import ADMIN, environment
from tests.conformance.platform.stores import wait_until

AUTH = "/api/v1/auth"
WIDGETS = "/api/v1/widgets"


def forge(key, **changes):
    """Sign a token that is good but for *changes*."""
    now = int(time.time())
    claims = {
        "iss": "widget-platform", "aud": "widget-api", "sub": str(uuid.uuid4()), "role": "admin", "typ": "access",
        "jti": "x", "iat": now, "exp": now + 60,
    }  # fmt: skip
    headers = {"kid": changes.pop("kid", "nobody")}
    algorithm = changes.pop("algorithm", "EdDSA")
    return jwt.encode({**claims, **changes}, key, algorithm=algorithm, headers=headers)


@pytest.fixture(scope="module")
def kid(platform):
    """The id of the present signing key."""
    return platform.call("GET", "/.well-known/jwks.json", service="security").json()["keys"][0]["kid"]


def test_a_login_gives_tokens_that_work(platform):
    """Register, log in, and be who one is."""
    user = {"email": f"{uuid.uuid4()}@Example.org", "password": "long enough"}
    made = platform.call("POST", f"{AUTH}/register", json=user)
    assert (made.status_code, made.json()["role"], made.json()["email"]) == (201, "editor", user["email"].lower())
    tokens = platform.login(user)
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
    assert platform.call("GET", f"{AUTH}/me", token=tokens["access_token"]).json()["id"] == made.json()["id"]
    assert platform.call("POST", f"{AUTH}/register", json=user).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"email": "x", "password": "long enough"},
        {"email": "a@b.cd", "password": "short"},
        {"email": "a@b.cd", "password": "x" * 129},
        {"email": "a@b.cd"},
        {"email": "a@b.cd", "password": "long enough", "role": "admin"},
        {"email": "a\u0000@b.cd", "password": "long enough"},
    ],
)
def test_bad_registrations_are_refused(platform, body):
    """Nobody gives himself a role, and nonsense is 400."""
    assert platform.call("POST", f"{AUTH}/register", json=body).status_code == 400


def test_wrong_passwords_lock_the_account_for_a_while(platform):
    """After five wrong passwords even the right one is refused, with the time to come back."""
    user = {"email": f"{uuid.uuid4()}@example.org", "password": "long enough"}
    platform.call("POST", f"{AUTH}/register", json=user)
    wrong = {**user, "password": "not the one"}
    assert [platform.call("POST", f"{AUTH}/login", json=wrong).status_code for _ in range(5)] == [401] * 5
    locked = platform.call("POST", f"{AUTH}/login", json=user)
    assert (locked.status_code, 1 <= int(locked.headers["retry-after"]) <= 31) == (429, True)


def test_an_unknown_user_looks_like_a_wrong_password(platform):
    """Nobody learns from a login who is registered."""
    answer = platform.call("POST", f"{AUTH}/login", json={"email": "nobody@example.org", "password": "long enough"})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:problem:credentials-wrong")


def test_a_refresh_token_used_twice_revokes_the_family(platform):
    """The second use is theft or loss: nothing that came from that login works any more."""
    tokens = platform.login()
    fresh = platform.call("POST", f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    assert platform.call("GET", f"{AUTH}/me", token=fresh["access_token"]).status_code == 200
    again = platform.call("POST", f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (again.status_code, again.json()["type"]) == (401, "urn:problem:refresh-reused")
    assert platform.call("POST", f"{AUTH}/refresh", json={"refresh_token": fresh["refresh_token"]}).status_code == 401
    wait_until(lambda: platform.call("GET", WIDGETS, token=fresh["access_token"]).status_code == 401, 3)


def test_logging_out_ends_the_login(platform):
    """The access token is refused at once by security, soon by the gateway; the refresh token too."""
    tokens = platform.login()
    assert platform.call("POST", f"{AUTH}/logout", token=tokens["access_token"]).status_code == 204
    assert platform.call("GET", f"{AUTH}/me", token=tokens["access_token"], service="security").status_code == 401
    wait_until(lambda: platform.call("GET", WIDGETS, token=tokens["access_token"]).status_code == 401, 3)
    refused = platform.call("POST", f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refused.status_code == 401


def test_roles_are_enforced_and_changes_take_effect(platform):
    """A downgraded user can no longer write with the token he has; with a new one he can read."""
    user = {"email": f"{uuid.uuid4()}@example.org", "password": "long enough"}
    uid = platform.call("POST", f"{AUTH}/register", json=user).json()["id"]
    editor, admin = platform.login(user)["access_token"], platform.login(ADMIN)["access_token"]
    path = f"{AUTH}/users/{uid}/role"
    assert platform.call("PUT", path, token=editor, json={"role": "admin"}).status_code == 403
    assert platform.call("PUT", path, token=admin, json={"role": "viewer"}).json()["role"] == "viewer"
    wait_until(lambda: platform.create(editor).status_code == 401, 3)
    viewer = platform.login(user)["access_token"]
    assert platform.create(viewer).status_code == 403
    assert platform.call("GET", WIDGETS, token=viewer).status_code == 200
    assert (
        platform.call("PUT", f"{AUTH}/users/{uuid.uuid4()}/role", token=admin, json={"role": "viewer"}).status_code
        == 404
    )


def test_keys_rotate_without_breaking_anybody(platform):
    """Tokens of the old key stay good, new ones carry the new key, both keys are published."""
    old, admin = platform.token(), platform.login(ADMIN)["access_token"]
    made = platform.call("POST", f"{AUTH}/keys/rotate", token=admin)
    assert made.status_code == 201
    fresh = platform.token()
    assert jwt.get_unverified_header(fresh)["kid"] == made.json()["kid"] != jwt.get_unverified_header(old)["kid"]
    wait_until(lambda: platform.call("GET", WIDGETS, token=fresh).status_code == 200, 8)
    assert platform.call("GET", WIDGETS, token=old).status_code == 200


def test_forged_tokens_are_refused(platform, kid):
    """Foreign keys, other algorithms, wrong claims, clock skew: 401, and no widget is made."""
    mine = Ed25519PrivateKey.generate()
    now = int(time.time())
    tokens = [
        forge(mine),
        forge(mine, kid=kid),
        forge("secret" * 8, kid=kid, algorithm="HS256"),
        forge(None, kid=kid, algorithm="none"),
        forge(mine, kid=kid, exp=now - 10),
        forge(mine, kid="../../etc/passwd"),
        "a.b.c",
        "x" * 5000,
        base64.urlsafe_b64encode(json.dumps({"alg": "EdDSA", "kid": {}}).encode()).decode() + ".e30.",
    ]
    before = platform.count("SELECT count(*) FROM widgets")
    for service in ("gateway", "widget_core"):
        answers = [platform.create(token, "forged", service=service).status_code for token in tokens]
        assert answers == [401] * len(tokens)
    assert platform.count("SELECT count(*) FROM widgets") == before


def test_the_audit_chain_is_whole_and_cannot_be_edited(platform):
    """The verifier agrees, and the database refuses to change or remove a record."""
    platform.token()
    assert _audit(platform).returncode == 0
    for statement in ("DELETE FROM audit_log", "UPDATE audit_log SET actor = 'x'", "TRUNCATE audit_log"):
        connection = platform.stores.connect()
        with contextlib.closing(connection), connection.cursor() as cursor, pytest.raises(psycopg2.Error):
            cursor.execute(statement)


def test_every_login_is_on_record(platform):
    """One login, one record."""
    user = {"email": f"{uuid.uuid4()}@example.org", "password": "long enough"}
    uid = platform.call("POST", f"{AUTH}/register", json=user).json()["id"]
    platform.login(user)
    statement = "SELECT count(*) FROM audit_log WHERE actor = %s AND action = %s"
    assert [platform.count(statement, uid, action) for action in ("register", "login")] == [1, 1]


def _audit(platform):
    command = [sys.executable, "-m", "services.security.audit"]
    return subprocess.run(command, env=environment(platform.stores, platform.ports), check=False, capture_output=True)
