"""Integration tests: users, tokens, roles and the audit log, across all services that look at a token."""

import os
import subprocess
import sys
import time
import uuid
from itertools import pairwise

import jwt
import psycopg2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaos.clock import wait_for
from services.client import SecurityServiceClient, new_key
from tests.integration.support.patience import BUSY, decided, made
from tests.integration.support.stack import Cursor

pytestmark = pytest.mark.security

SOON_S = 8.0


@pytest.fixture
def user(security_service_client: SecurityServiceClient, sample_user_data: dict[str, str]) -> dict[str, str]:
    """A registered user: what was answered, and the password."""
    answer = security_service_client.register_user(sample_user_data)
    assert answer.status_code == 201, answer.text
    return answer.json() | sample_user_data


@pytest.fixture
def admin_token(security_service_client: SecurityServiceClient, user: dict[str, str], postgres_cursor: Cursor) -> str:
    """The token of an administrator, who was made one in the database."""
    postgres_cursor.execute("UPDATE users SET role = 'admin' WHERE id = %s", [user["id"]])
    return _login(security_service_client, user)["access_token"]


@pytest.fixture
def other(security_service_client: SecurityServiceClient) -> dict[str, str]:
    """Another registered user."""
    data = {"email": f"{uuid.uuid4().hex}@example.org", "password": "correct horse battery"}
    return security_service_client.register_user(data).json() | data


def _login(client: SecurityServiceClient, who):
    answer = client.login({"email": who["email"], "password": who["password"]})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _refused(client, token):
    """Whether the gateway or service refuses *token*."""
    return client.list_widgets(token=token).status_code == 401


class TestAuthenticationFlow:
    """Who registered can log in, and nobody else."""

    def test_user_registration_and_login(
        self, security_service_client, api_gateway_client, sample_user_data, clean_database, postgres_cursor
    ):
        """Registered, logged in, and known by the token; the record holds a hash and never the password."""
        made = security_service_client.register_user(sample_user_data)
        assert (made.status_code, made.json()["role"]) == (201, "editor"), made.text
        tokens = security_service_client.login(sample_user_data).json()
        assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
        for client in (security_service_client, api_gateway_client):
            me = client.me(token=tokens["access_token"])
            assert (me.status_code, me.json()["email"]) == (200, sample_user_data["email"])
        postgres_cursor.execute("SELECT password_hash FROM users WHERE id = %s", [made.json()["id"]])
        (stored,) = postgres_cursor.fetchone()
        assert stored.startswith("$argon2id$")
        assert sample_user_data["password"] not in stored
        assert security_service_client.register_user(sample_user_data).status_code == 409

    def test_wrong_passwords_lock_the_account(self, security_service_client, user, postgres_cursor):
        """Five wrong passwords are 401, then the right one is 429 with the time to come back; the lock is on record."""
        wrong = {"email": user["email"], "password": "not the right one"}
        assert [security_service_client.login(wrong).status_code for _ in range(5)] == [401] * 5
        locked = security_service_client.login({"email": user["email"], "password": user["password"]})
        assert locked.status_code == 429
        assert 1 <= int(locked.headers["Retry-After"]) <= 31
        postgres_cursor.execute("SELECT locked_until > now() FROM users WHERE id = %s", [user["id"]])
        assert postgres_cursor.fetchone() == (True,)

    def test_a_stolen_refresh_token_ends_the_family(
        self, security_service_client, api_gateway_client, user, postgres_cursor
    ):
        """Rotation uses a token up; the second use revokes every token of that login, everywhere."""
        first = _login(security_service_client, user)
        second = security_service_client.refresh(first["refresh_token"]).json()
        assert api_gateway_client.list_widgets(token=second["access_token"]).status_code == 200
        assert security_service_client.refresh(first["refresh_token"]).status_code == 401
        assert security_service_client.refresh(second["refresh_token"]).status_code == 401
        postgres_cursor.execute(
            "SELECT count(*) FROM refresh_tokens WHERE user_id = %s AND revoked_at IS NULL", [user["id"]]
        )
        assert postgres_cursor.fetchone() == (0,)
        wait_for(
            lambda: _refused(api_gateway_client, second["access_token"]),
            what="the gateway refuses the family",
            within_s=SOON_S,
        )

    def test_logging_out_reaches_the_gateway(
        self, security_service_client, api_gateway_client, user, postgres_cursor, redis_client
    ):
        """After a logout the token is refused at once by Security and soon by the gateway, which reads it in Redis."""
        token = _login(security_service_client, user)["access_token"]
        assert security_service_client.logout(token=token).status_code == 204
        assert security_service_client.me(token=token).status_code == 401
        wait_for(lambda: _refused(api_gateway_client, token), what="the gateway refuses it", within_s=SOON_S)
        subject = f"jti:{jwt.decode(token, options={'verify_signature': False})['jti']}"
        postgres_cursor.execute("SELECT count(*) FROM revocations WHERE subject = %s", [subject])
        assert postgres_cursor.fetchone() == (1,)
        assert any(member.startswith(f"{subject}|") for member in redis_client.zrange("revocations", 0, -1))


class TestAuthorizationFlow:
    """What one may do is decided by the role, at every door."""

    def test_roles_decide_what_is_allowed(
        self, security_service_client, api_gateway_client, widget_core_client, admin_token, other, postgres_cursor
    ):
        """A viewer reads and does not write, at the gateway or past it; only an administrator gives roles."""
        assert security_service_client.set_role(other["id"], "viewer", token=admin_token).json()["role"] == "viewer"
        viewer = _login(security_service_client, other)["access_token"]
        name = uuid.uuid4().hex
        for client in (api_gateway_client, widget_core_client):
            assert client.list_widgets(token=viewer).status_code == 200
            assert client.create_widget({"name": name}, token=viewer).status_code == 403
        postgres_cursor.execute("SELECT count(*) FROM widgets WHERE name = %s", [name])
        assert postgres_cursor.fetchone() == (0,)
        assert security_service_client.set_role(other["id"], "admin", token=viewer).status_code == 403
        postgres_cursor.execute("SELECT role FROM users WHERE id = %s", [other["id"]])
        assert postgres_cursor.fetchone() == ("viewer",)

    def test_a_role_change_ends_present_tokens(
        self, security_service_client, api_gateway_client, admin_token, user, other, postgres_cursor
    ):
        """The token that an editor holds when he is made a viewer is soon refused; his next one reads only."""
        editor = _login(security_service_client, other)["access_token"]
        assert api_gateway_client.create_widget({"name": "mine"}, token=editor).status_code == 201
        security_service_client.set_role(other["id"], "viewer", token=admin_token)
        wait_for(lambda: _refused(api_gateway_client, editor), what="the old token is refused", within_s=SOON_S)
        viewer = _login(security_service_client, other)["access_token"]
        for token, status in ((editor, 401), (viewer, 403)):
            assert api_gateway_client.create_widget({"name": "mine"}, token=token).status_code == status
        postgres_cursor.execute("SELECT count(*) FROM widgets WHERE owner = %s", [other["id"]])
        assert postgres_cursor.fetchone() == (1,)
        postgres_cursor.execute(
            "SELECT actor, detail FROM audit_log WHERE subject = %s AND action = 'role-changed'", [other["id"]]
        )
        assert postgres_cursor.fetchall() == [(user["id"], "viewer")]

    def test_without_a_token_nothing_is_done(
        self, api_gateway_client, widget_core_client, sample_widget_data, postgres_cursor
    ):
        """Every operation on widgets is 401 without a token, at the gateway and past it, and nothing changes."""
        wid = made(api_gateway_client, sample_widget_data)["id"]
        for client in (api_gateway_client.with_token(None), widget_core_client.with_token(None)):
            answers = [
                client.create_widget(sample_widget_data),
                client.get_widget(wid),
                client.list_widgets(),
                client.replace_widget(wid, {"name": "x"}, match=1),
                client.delete_widget(wid),
                client.get_native(wid),
            ]
            assert [answer.status_code for answer in answers] == [401] * len(answers)
            assert all("WWW-Authenticate" in answer.headers for answer in answers)
        postgres_cursor.execute("SELECT version FROM widgets WHERE name = %s", [sample_widget_data["name"]])
        assert postgres_cursor.fetchall() == [(1,)]


class TestSecurityIntegration:
    """All services trust the same keys, and nothing else."""

    def test_forged_tokens_are_refused_everywhere(
        self, api_gateway_client, widget_core_client, security_service_client, postgres_cursor
    ):
        """Foreign keys, other algorithms, expired or bent tokens: 401 from each service, and no widget is made.

        Who cannot ask for the keys meanwhile lets nobody in either, and is asked again.
        """
        (kid, *_) = [key["kid"] for key in security_service_client.jwks().json()["keys"]]
        mine, name = Ed25519PrivateKey.generate(), uuid.uuid4().hex
        tokens = [
            _forged(mine, kid),
            _forged(mine, "unknown"),
            _forged("secret" * 8, kid, "HS256"),
            _forged(None, kid, "none"),
            _forged(mine, kid, exp=int(time.time()) - 60),
            api_gateway_client.token[:-4] + "AAAA",
            "a.b.c",
        ]

        def answered(client, token):
            return decided(lambda key: client.create_widget({"name": name}, key=key, token=token), BUSY).status_code

        for client in (api_gateway_client, widget_core_client):
            assert [answered(client, token) for token in tokens] == [401] * 7
        assert [security_service_client.me(token=token).status_code for token in tokens] == [401] * 7
        postgres_cursor.execute("SELECT count(*) FROM widgets WHERE name = %s", [name])
        assert postgres_cursor.fetchone() == (0,)

    def test_keys_rotate_without_breaking_anybody(
        self, security_service_client, api_gateway_client, widget_core_client, user, admin_token, postgres_cursor
    ):
        """A new key is published at once and signs soon; old tokens stay good, and every service takes both."""
        old = _login(security_service_client, user)["access_token"]
        kid = security_service_client.rotate_key(token=admin_token).json()["kid"]
        published = {key["kid"] for key in security_service_client.jwks().json()["keys"]}
        assert {kid, jwt.get_unverified_header(old)["kid"]} <= published

        def signed_anew():
            token = _login(security_service_client, user)["access_token"]
            return token if jwt.get_unverified_header(token)["kid"] == kid else None

        fresh = wait_for(signed_anew, what="the new key signs", within_s=SOON_S, every_s=0.2)
        for client in (api_gateway_client, widget_core_client):
            wait_for(lambda c=client: not _refused(c, fresh), what="the new key is known", within_s=SOON_S)
            assert client.create_widget({"name": "still good"}, token=old, key=new_key()).status_code == 201
        postgres_cursor.execute("SELECT count(*) FROM widgets WHERE name = 'still good' AND owner = %s", [user["id"]])
        assert postgres_cursor.fetchone() == (2,)
        postgres_cursor.execute("SELECT kid FROM signing_keys WHERE retired_at IS NULL")
        assert postgres_cursor.fetchone() == (kid,)


class TestAuditLogging:
    """What happened is on record, in the transaction in which it happened."""

    def test_every_action_is_on_record(self, security_service_client, user, postgres_cursor):
        """Registration, failed login, login, refresh and logout: one record each, in this order."""
        security_service_client.login({"email": user["email"], "password": "not the right one"})
        tokens = _login(security_service_client, user)
        fresh = security_service_client.refresh(tokens["refresh_token"]).json()
        security_service_client.logout(token=fresh["access_token"])
        postgres_cursor.execute("SELECT action FROM audit_log WHERE actor = %s ORDER BY seq", [user["id"]])
        actions = [action for (action,) in postgres_cursor.fetchall()]
        assert actions == ["register", "login-failed", "login", "refresh", "logout"]

    def test_the_audit_log_cannot_be_edited(self, platform, user, postgres_cursor):
        """The database refuses to change or remove records, none is missing, and the verifier finds the chain whole."""
        for statement in ("DELETE FROM audit_log", "UPDATE audit_log SET actor = 'x'", "TRUNCATE audit_log"):
            with pytest.raises(psycopg2.Error, match="append-only"):
                postgres_cursor.execute(statement)
        postgres_cursor.execute("SELECT seq FROM audit_log ORDER BY seq")
        assert all(after == before + 1 for (before,), (after,) in pairwise(postgres_cursor.fetchall()))
        done = subprocess.run(
            [sys.executable, "-m", "services.security.audit"],
            env=os.environ | _postgres_environment(platform),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, "is whole" in done.stdout) == (0, True), done.stderr


def _forged(key, kid, algorithm="EdDSA", **changes):
    now = int(time.time())
    claims = {
        "iss": "widget-platform",
        "aud": "widget-api",
        "sub": str(uuid.uuid4()),
        "role": "admin",
        "typ": "access",
        "jti": uuid.uuid4().hex,
        "iat": now,
        "exp": now + 60,
    }
    return jwt.encode(claims | changes, key, algorithm=algorithm, headers={"kid": kid})


def _postgres_environment(platform):
    found = platform.postgres
    names = {"POSTGRES_HOST": "host", "POSTGRES_PORT": "port", "POSTGRES_DB": "dbname"}
    names |= {"POSTGRES_USER": "user", "POSTGRES_PASSWORD": "password"}
    return {variable: str(found[key]) for variable, key in names.items()}
