"""Users, tokens and roles: what is refused stays refused, and everything is on record."""

import base64
import contextlib
import json
import signal
import socket
import time
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.profiles import LAB
from tests.conformance.platform.conftest import ADMIN
from tests.conformance.platform.stores import another_redis, wait_until

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
    """Nobody learns from a login, nor from a lock-out, who is registered."""
    known, unknown = ({"email": f"{uuid.uuid4()}@example.org", "password": "long enough"} for _ in "ab")
    platform.call("POST", f"{AUTH}/register", json=known)
    seen = [
        [platform.call("POST", f"{AUTH}/login", json={**user, "password": "not the one"}) for _ in range(6)]
        for user in (known, unknown)
    ]
    said = [[(answer.status_code, answer.json()["type"]) for answer in answers] for answers in seen]
    assert said[0] == [(401, "urn:problem:credentials-wrong")] * 5 + [(429, "urn:problem:account-locked")]
    assert said[0] == said[1]
    assert {29 <= int(answers[-1].headers["retry-after"]) <= 31 for answers in seen} == {True}
    assert platform.call("POST", f"{AUTH}/register", json=unknown).status_code == 201
    assert platform.call("POST", f"{AUTH}/login", json=unknown).status_code == 200


def test_a_refresh_token_used_twice_revokes_the_family(platform):
    """The second use is theft or loss: nothing that came from that login works any more."""
    tokens = platform.login()
    uid = platform.call("GET", f"{AUTH}/me", token=tokens["access_token"]).json()["id"]
    stored = "SELECT count(*) FROM refresh_tokens WHERE user_id = %s"
    fresh = platform.call("POST", f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    assert platform.call("GET", f"{AUTH}/me", token=fresh["access_token"]).status_code == 200
    again = platform.call("POST", f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (again.status_code, again.json()["type"]) == (401, "urn:problem:refresh-reused")
    assert again.headers["content-type"] == "application/problem+json"
    assert platform.count(stored, uid) == 2
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


def test_when_nobody_publishes_revocations_nothing_is_changed(start, supervisor, tmp_path):
    """The security service is stopped: after the grace the gateway refuses changes, and answers reads."""
    with another_redis(tmp_path, supervisor) as port:
        own = start(REDIS_PORT=port)
        token = own.token()
        assert own.create(token).status_code == 201
        own.stop("security", signal.SIGSTOP)
        wait_until(lambda: own.create(token).json().get("type") == "urn:problem:revocations-unknown", 8)
        assert own.call("GET", WIDGETS, token=token).status_code == 200
        own.stop("security", signal.SIGCONT)
        wait_until(lambda: own.create(token).status_code == 201)
        for service in own.pids:
            own.stop(service, signal.SIGKILL)


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
    """A new key is published before it signs: its first token is good everywhere at once, and old ones stay good."""
    old, admin = platform.token(), platform.login(ADMIN)["access_token"]
    made = platform.call("POST", f"{AUTH}/keys/rotate", token=admin)
    assert made.status_code == 201
    assert made.json()["kid"] in _published(platform)
    fresh = platform.token()
    assert jwt.get_unverified_header(fresh)["kid"] == jwt.get_unverified_header(old)["kid"]
    while jwt.get_unverified_header(fresh)["kid"] != made.json()["kid"]:
        for service in ("gateway", "widget_core"):
            assert platform.call("GET", WIDGETS, token=fresh, service=service).status_code == 200
        fresh = wait_until(platform.token)
    for token in (fresh, old):
        for service in ("gateway", "widget_core", "security"):
            path = f"{AUTH}/me" if service == "security" else WIDGETS
            assert platform.call("GET", path, token=token, service=service).status_code == 200


def test_a_withdrawn_key_is_trusted_by_nobody_for_long(start):
    """A key is deleted from the record: what it has signed, or signs now, is soon refused at every door."""
    own = start()
    stolen = own.token()
    with contextlib.closing(own.stores.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM signing_keys")
    doors = {"gateway": WIDGETS, "widget_core": WIDGETS, "security": f"{AUTH}/me"}
    for service, path in doors.items():
        wait_until(lambda s=service, p=path: own.call("GET", p, token=stolen, service=s).status_code == 401)
    fresh = own.token()
    for service, path in doors.items():
        assert own.call("GET", path, token=fresh, service=service).status_code == 200
    for service in own.pids:
        own.stop(service, signal.SIGKILL)


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
        answers = [platform.create(token, "forged", service=service) for token in tokens]
        assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
        # An unknown key cannot be judged right after one was looked up: then it is 503.
        unknown = [tokens[place] for place in (5, 0) if answers.pop(place).status_code != 401]
        assert [answer.status_code for answer in answers] == [401] * 7
        for token in unknown:
            wait_until(lambda t=token, s=service: platform.create(t, "forged", service=s).status_code == 401)
    assert platform.count("SELECT count(*) FROM widgets") == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * 10_000, 413),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"email":' * 500, 400),
        (b'{"email": "a\\u0000@example.org", "password": "long enough"}', 400),
    ],
)
def test_bad_bodies_make_no_user(platform, body, status):
    """Too long, broken, not UTF-8, endlessly deep, with NUL: a problem document, and nobody is registered."""
    before = platform.count("SELECT count(*) FROM users")
    headers = {"content-type": "application/json"}
    answer = platform.call("POST", f"{AUTH}/register", data=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert platform.count("SELECT count(*) FROM users") == before


def test_half_sent_logins_do_not_keep_the_door_shut(platform):
    """More of them than there are places: each is told 408 when its time is over, and others come in again."""
    token = platform.token()
    half = b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", platform.ports["gateway"])
        clients = [stack.enter_context(socket.create_connection(address, 5)) for _ in range(2 * LAB.ingress.limit)]
        for client in clients:
            client.sendall(half)
        wait_until(lambda: platform.call("GET", WIDGETS, token=token).status_code == 200, 3)
        answers = [client.recv(4096)[9:12] for client in clients]
    assert set(answers) == {b"408", b"503"}


@pytest.mark.parametrize("email", ["'; DROP TABLE users; --@example.org", "%(id)s@example.org", "a'b@example.org"])
def test_metacharacters_in_an_address_are_just_text(platform, email):
    """What means something to SQL is a name like any other, or is refused; nothing is run."""
    user = {"email": email, "password": "long enough"}
    made = platform.call("POST", f"{AUTH}/register", json=user)
    assert made.status_code in (201, 400)
    assert platform.count("SELECT count(*) FROM users WHERE email = %s", email.lower()) == (made.status_code == 201)


def test_every_login_is_on_record(platform):
    """One login, one record."""
    user = {"email": f"{uuid.uuid4()}@example.org", "password": "long enough"}
    uid = platform.call("POST", f"{AUTH}/register", json=user).json()["id"]
    platform.login(user)
    statement = "SELECT count(*) FROM audit_log WHERE actor = %s AND action = %s"
    assert [platform.count(statement, uid, action) for action in ("register", "login")] == [1, 1]


def _published(platform):
    keys = platform.call("GET", "/.well-known/jwks.json", service="security").json()["keys"]
    return {key["kid"] for key in keys}
