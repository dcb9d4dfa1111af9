"""Workflows that cross the gateway, Security, Widget Core, ORB Core and their stores."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from statistics import median

import jwt
import pytest

from chaos import Down, wait_for
from services import plants
from services.client import ApiGatewayClient, SecurityServiceClient, new_key
from services.security import audit
from services.security.sql import AUDIT_LOG
from tests.integration.contracts import documents
from tests.integration.support.cleaning import at_rest
from tests.integration.support.faults import broken
from tests.integration.support.metrics import metric
from tests.integration.support.patience import BUSY, decided, made
from tests.integration.support.stack import Cursor
from tests.integration.support.together import THREADS, together

SOON_S = 5.0
GRACE_S = 5.0
SLACK_S = 0.35  # less than the 0.5 s after which a statement is given up by itself
LOCKED_AFTER = 5
SIGNS_AFTER_S = 2.0
"""How long a new key is published before it signs."""


@pytest.fixture
def user(security_service_client: SecurityServiceClient, sample_user_data: dict[str, str]) -> dict[str, str]:
    """A registered user: address, password and id."""
    made = security_service_client.register_user(sample_user_data)
    assert made.status_code == 201, made.text
    return {**sample_user_data, "id": made.json()["id"]}


@pytest.fixture
def tokens(api_gateway_client: ApiGatewayClient, user: dict[str, str]) -> dict[str, str]:
    """The pair of tokens of that user."""
    return log_in(api_gateway_client, user)


@pytest.fixture
def admin(api_gateway_client: ApiGatewayClient, postgres_cursor: Cursor) -> str:
    """The access token of an administrator."""
    credentials = {"email": f"{uuid.uuid4().hex}@example.org", "password": "correct horse battery"}
    made = api_gateway_client.register_user(credentials)
    postgres_cursor.execute("UPDATE users SET role = 'admin' WHERE id = %s", [made.json()["id"]])
    return log_in(api_gateway_client, credentials)["access_token"]


def log_in(client, user: Mapping[str, str]) -> dict[str, str]:
    """The tokens of a new login."""
    answer = client.login({"email": user["email"], "password": user["password"]})
    assert answer.status_code == 200, answer.text
    return answer.json()


def actions(cursor, actor: str) -> list[str]:
    """What the audit log says that *actor* did, in order."""
    cursor.execute("SELECT action FROM audit_log WHERE actor = %s ORDER BY seq", [actor])
    return [action for (action,) in cursor.fetchall()]


def chain(cursor) -> list[audit.AuditRecord]:
    """The whole audit log."""
    cursor.execute(AUDIT_LOG)
    names = audit.AuditRecord.__slots__
    return [
        audit.AuditRecord(**dict(zip(names, (*line[:6], bytes(line[6])), strict=True))) for line in cursor.fetchall()
    ]


def soon(condition, what: str, within_s: float = SOON_S) -> None:
    """Wait until *condition* is true."""
    wait_for(condition, what=what, within_s=within_s, every_s=0.03)


class TestFromRegistrationToDeletion:
    """A new user's first day."""

    def test_every_store_agrees_at_every_step(
        self, api_gateway_client, orb_core_client, tokens, user, sample_widget_data, postgres_cursor, redis_client
    ):
        """Created, looked at in ORB Core, changed, deleted: record, cache and native object follow, and so does 404."""
        client = api_gateway_client.with_token(tokens["access_token"])
        widget = made(client, sample_widget_data)
        assert widget["owner"] == user["id"]
        native = wait_for(partial(client.get_native, widget["id"]), what="it is in ORB Core", within_s=SOON_S)
        assert (native.json()["revision"], native.json()["payload"]) == (1, sample_widget_data["payload"])
        changed = client.update_widget(widget["id"], {"payload": {"colour": "red"}}, match=1).json()
        soon(lambda: client.get_native(widget["id"]).json().get("revision") == 2, "ORB Core has revision 2")
        assert client.get_native(widget["id"]).json()["payload"] == {"colour": "red"}
        cached = partial(redis_client.get, f"widget:{widget['id']}")
        soon(lambda: (cached() or "").startswith("2 "), "the cache has version 2")
        assert json.loads(cached().split(" ", 3)[3]) == changed
        assert client.delete_widget(widget["id"], match=2).status_code == 204
        postgres_cursor.execute("SELECT count(*) FROM widgets WHERE id = %s", [widget["id"]])
        assert postgres_cursor.fetchone() == (0,)
        soon(lambda: cached().split(" ")[2] == "gone", "the cache has a tombstone")
        at_rest(postgres_cursor, orb_core_client)
        assert widget["id"] not in {native["id"] for native in orb_core_client.objects().json()}
        assert client.get_native(widget["id"]).status_code == 404

    def test_the_audit_log_tells_the_story(self, api_gateway_client, user, admin, postgres_cursor):
        """Registered, failed, logged in, renewed, promoted, logged out: in order, each once, in a whole chain."""
        assert api_gateway_client.login({**credentials(user), "password": "not this one"}).status_code == 401
        tokens = log_in(api_gateway_client, user)
        renewed = api_gateway_client.refresh(tokens["refresh_token"]).json()
        assert api_gateway_client.set_role(user["id"], "viewer", token=admin).status_code == 200
        last = log_in(api_gateway_client, user)["access_token"]
        assert api_gateway_client.logout(token=last).status_code == 204
        assert renewed["access_token"] != last
        expected = ["register", "login-failed", "login", "refresh", "login", "logout"]
        assert actions(postgres_cursor, user["id"]) == expected
        postgres_cursor.execute(
            "SELECT action, detail FROM audit_log WHERE subject = %s AND action LIKE 'role%%'", [user["id"]]
        )
        assert postgres_cursor.fetchall() == [("role-changed", "viewer")]
        assert audit.first_broken(chain(postgres_cursor)) is None

    @pytest.mark.planted("security.audit.same_tx")
    def test_many_users_at_once_leave_one_whole_chain(self, api_gateway_client, postgres_cursor):
        """Twenty register and log in side by side: each is registered once, all is on record, the chain unbroken."""
        before = len(chain(postgres_cursor))

        def arrive(_: int) -> tuple[int, int]:
            one = {"email": f"{uuid.uuid4().hex}@example.org", "password": "correct horse battery"}
            calls = (api_gateway_client.register_user, api_gateway_client.login)
            first, second = (decided(lambda _, call=call: call(one), BUSY) for call in calls)
            return first.status_code, second.status_code

        # 409: registered by a request of unknown outcome, which was repeated.
        assert set(together(arrive)) <= {(201, 200), (409, 200)}
        records = chain(postgres_cursor)
        new = [record.action for record in records[before:]]
        assert (new.count("register"), new.count("login") >= 20) == (20, True)
        assert audit.first_broken(records) is None


def credentials(user: Mapping[str, str]) -> dict[str, str]:
    """What the user logs in with."""
    return {"email": user["email"], "password": user["password"]}


class TestTokensOnTheWay:
    """What happens to a login while its owner is at work."""

    def test_a_login_is_renewed_in_the_middle_of_the_work(self, api_gateway_client, tokens, sample_widget_data):
        """Made with the old token, changed with the new one, and both belong to the same owner."""
        old = api_gateway_client.with_token(tokens["access_token"])
        widget = old.create_widget(sample_widget_data).json()
        renewed = api_gateway_client.refresh(tokens["refresh_token"]).json()
        new = api_gateway_client.with_token(renewed["access_token"])
        assert new.update_widget(widget["id"], {"name": "renewed"}, match=1).json()["owner"] == widget["owner"]
        assert old.get_widget(widget["id"]).json()["name"] == "renewed"

    def test_a_stolen_refresh_token_ends_the_login_everywhere(
        self, api_gateway_client, tokens, sample_widget_data, postgres_cursor, user
    ):
        """The second use revokes all that came from the login; within the grace the gateway refuses it as well."""
        renewed = api_gateway_client.refresh(tokens["refresh_token"]).json()
        assert api_gateway_client.refresh(tokens["refresh_token"]).status_code == 401
        thief = api_gateway_client.with_token(renewed["access_token"])
        soon(lambda: thief.create_widget(sample_widget_data).status_code == 401, "it is refused", GRACE_S)
        assert api_gateway_client.refresh(renewed["refresh_token"]).status_code == 401
        assert actions(postgres_cursor, user["id"]) == ["register", "login", "refresh", "refresh-reused"]
        assert log_in(api_gateway_client, user)["access_token"]

    def test_logging_out_holds_at_the_gateway_within_the_grace(self, api_gateway_client, tokens, user):
        """This login ends, for reads and writes; another login of the same user goes on."""
        other = log_in(api_gateway_client, user)["access_token"]
        assert api_gateway_client.logout(token=tokens["access_token"]).status_code == 204
        soon(
            lambda: api_gateway_client.list_widgets(token=tokens["access_token"], limit=1).status_code == 401,
            "the gateway refuses the token",
            GRACE_S,
        )
        assert api_gateway_client.create_widget({"name": "x"}, token=tokens["access_token"]).status_code == 401
        assert api_gateway_client.refresh(tokens["refresh_token"]).status_code == 401
        assert api_gateway_client.create_widget({"name": "x"}, token=other).status_code == 201

    def test_a_role_takes_effect_in_every_service(
        self, api_gateway_client, widget_core_client, admin, tokens, user, sample_widget_data
    ):
        """Made a viewer: the old token is refused, the new one reads and does not write, at either service."""
        widget = api_gateway_client.create_widget(sample_widget_data, token=tokens["access_token"]).json()
        assert api_gateway_client.set_role(user["id"], "viewer", token=admin).json()["role"] == "viewer"
        soon(
            lambda: api_gateway_client.get_widget(widget["id"], token=tokens["access_token"]).status_code == 401,
            "the old token is refused",
            GRACE_S,
        )
        viewer = log_in(api_gateway_client, user)["access_token"]
        for client in (api_gateway_client, widget_core_client):
            assert client.get_widget(widget["id"], token=viewer).status_code == 200
            assert client.delete_widget(widget["id"], token=viewer).status_code == 403
        assert api_gateway_client.set_role(user["id"], "admin", token=viewer).status_code == 403

    def test_keys_are_rotated_under_way(
        self, api_gateway_client, widget_core_client, security_service_client, admin, tokens, user
    ):
        """A new key is published, then signs; tokens of the old one and of it are good at once, in every service."""
        old = tokens["access_token"]
        rotated = api_gateway_client.rotate_key(token=admin)
        assert rotated.status_code == 201
        published = {key["kid"] for key in security_service_client.jwks().json()["keys"]}
        assert {rotated.json()["kid"], jwt.get_unverified_header(old)["kid"]} <= published
        new = ""

        def signs() -> bool:
            nonlocal new
            new = log_in(api_gateway_client, user)["access_token"]
            return jwt.get_unverified_header(new)["kid"] == rotated.json()["kid"]

        soon(signs, "the new key signs", SIGNS_AFTER_S + SOON_S)
        for client in (api_gateway_client, widget_core_client):
            soon(
                lambda client=client: client.list_widgets(token=new, limit=1).status_code == 200,
                "the new key is known",
                SOON_S,
            )
            assert client.list_widgets(token=old, limit=1).status_code == 200

    def test_five_wrong_passwords_lock_logins_and_not_the_work(
        self, api_gateway_client, tokens, user, sample_widget_data
    ):
        """The right password is refused for a while, with the time to come back; the running login goes on."""
        wrong = {**credentials(user), "password": "not this one"}
        assert [api_gateway_client.login(wrong).status_code for _ in range(LOCKED_AFTER)] == [401] * LOCKED_AFTER
        locked = api_gateway_client.login(credentials(user))
        assert (locked.status_code, locked.json()["type"]) == (429, "urn:problem:account-locked")
        assert 1 <= int(locked.headers["Retry-After"]) <= 31
        assert api_gateway_client.create_widget(sample_widget_data, token=tokens["access_token"]).status_code == 201
        assert api_gateway_client.refresh(tokens["refresh_token"]).status_code == 200


def lock_waits(cursor) -> int:
    """How many wait for a row or a table in this database."""
    cursor.execute(
        """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event <> 'advisory'"""
    )
    return cursor.fetchone()[0]


class TestRequestsAcrossServices:
    """What is said once at the gateway is known in every service."""

    def test_the_request_id_is_the_same_in_every_service(self, api_gateway_client, sample_user_data, user):
        """The gateway's, Widget Core's and Security's own problems carry the id that the client sent."""
        rid = {"X-Request-Id": f"trace-{uuid.uuid4().hex[:8]}"}
        nobody = f"/api/v1/widgets/{uuid.uuid4()}"
        answers = [
            api_gateway_client.request("GET", "/nowhere", headers=rid),
            api_gateway_client.request("GET", nobody, headers=rid),
            api_gateway_client.request("POST", "/api/v1/auth/register", json=sample_user_data, headers=rid),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 409]
        assert {answer.json()["request_id"] for answer in answers} == {rid["X-Request-Id"]}
        assert {answer.headers["X-Request-Id"] for answer in answers} == {rid["X-Request-Id"]}

    def test_a_deadline_is_kept_by_the_service_that_is_last(
        self, api_gateway_client, sample_widget_data, platform, postgres_cursor
    ):
        """With 150 ms to go nobody waits for a row that is locked for longer; who was cut off does nothing later."""
        widget = made(api_gateway_client, sample_widget_data)
        path, hurried = f"/api/v1/widgets/{widget['id']}", {"X-Deadline-Ms": "150"}
        with closing(platform.connect()) as holder, holder.cursor() as cursor:
            holder.autocommit = False
            cursor.execute("SELECT 1 FROM widgets WHERE id = %s FOR UPDATE", [widget["id"]])
            took = []
            for _ in range(3):  # a busy machine may hold up one of them
                began = time.monotonic()
                answer = api_gateway_client.request("PATCH", path, json={"name": "late"}, headers=hurried)
                took.append(time.monotonic() - began)
                assert answer.status_code == 503, answer.text
            soon(lambda: not lock_waits(postgres_cursor), "nobody waits for the row any more")
            holder.rollback()
        assert min(took) < 0.15 + SLACK_S, f"{min(took):.3f} s"
        postgres_cursor.execute("SELECT version FROM widgets WHERE id = %s", [widget["id"]])
        assert postgres_cursor.fetchone() == (1,)

    @pytest.mark.planted("widget-core.idempotency")
    def test_a_key_holds_across_gateway_and_widget_core(
        self, api_gateway_client, widget_core_client, sample_widget_data, postgres_cursor
    ):
        """Sent through the gateway and past it, one after the other and side by side: one widget, one answer."""
        key = new_key()
        first = decided(lambda _: api_gateway_client.create_widget(sample_widget_data, key=key))
        again = widget_core_client.create_widget(sample_widget_data, key=key)
        assert (again.json(), again.headers.get("Idempotent-Replay")) == (first.json(), "true")
        assert (again.headers["Location"], again.headers["ETag"]) == (first.headers["Location"], first.headers["ETag"])
        clients = (api_gateway_client, widget_core_client)
        key, data = new_key(), {"name": f"raced-{uuid.uuid4().hex}"}
        answers = together(lambda number: decided(lambda _: clients[number % 2].create_widget(data, key=key)))
        assert [answer.status_code for answer in answers] == [201] * THREADS
        (wid,) = {answer.json()["id"] for answer in answers}
        postgres_cursor.execute("SELECT id::text FROM widgets WHERE name = %s", [data["name"]])
        assert postgres_cursor.fetchall() == [(wid,)]

    def test_a_replayed_delete_does_not_delete_the_next_widget(self, api_gateway_client, sample_widget_data):
        """A key that was used for one deletion is refused for another one."""
        first, second = (made(api_gateway_client, sample_widget_data)["id"] for _ in range(2))
        key = new_key()
        assert [api_gateway_client.delete_widget(first, key=key).status_code for _ in range(2)] == [204, 204]
        assert api_gateway_client.delete_widget(second, key=key).status_code == 422
        assert api_gateway_client.get_widget(second).status_code == 200


class TestCachedReads:
    """What the headers of a read say is so."""

    def test_the_way_of_a_value_through_the_cache(
        self, api_gateway_client, sample_widget_data, redis_client, postgres_cursor, calm
    ):
        """Hit after a write, miss once it is gone from Redis, hit again; 304 for whoever has it already."""
        wid = made(api_gateway_client, sample_widget_data)["id"]

        def write_lose_and_read():
            assert api_gateway_client.update_widget(wid, {"description": new_key()}).status_code == 200
            assert api_gateway_client.get_widget(wid).headers["X-Cache"] == "hit"
            redis_client.delete(f"widget:{wid}")
            missed = api_gateway_client.get_widget(wid)
            assert (missed.headers["X-Cache"], missed.headers["Age"]) == ("miss", "0")
            assert api_gateway_client.get_widget(wid).headers["X-Cache"] == "hit"

        calm(write_lose_and_read)
        missed = api_gateway_client.get_widget(wid)
        path, known = f"/api/v1/widgets/{wid}", {"If-None-Match": missed.headers["ETag"]}
        same = api_gateway_client.request("GET", path, headers=known)
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", missed.headers["ETag"])
        api_gateway_client.update_widget(wid, {"name": "new"})
        assert api_gateway_client.request("GET", path, headers=known).json()["name"] == "new"

    def test_a_writer_never_reads_what_was_before(self, api_gateway_client, sample_widget_data, redis_client, calm):
        """An old value put into Redis behind the platform's back is seen to be old, and replaced."""

        def put_back_and_read():
            wid = made(api_gateway_client, sample_widget_data)["id"]
            old = redis_client.get(f"widget:{wid}")
            assert old, "a new widget is cached"
            version = api_gateway_client.update_widget(wid, {"name": "newest"}).json()["version"]
            redis_client.set(f"widget:{wid}", old, px=30_000)
            read = api_gateway_client.get_widget(wid, min_version=version)
            assert (read.json()["name"], read.headers["X-Cache"]) == ("newest", "miss")
            assert redis_client.get(f"widget:{wid}").startswith(f"{version} ")

        calm(put_back_and_read)

    def test_a_flushed_cache_is_filled_by_reading(self, api_gateway_client, sample_widget_data, redis_client, calm):
        """Ten widgets, all taken out of Redis: each is read from the record once, and is cached again."""
        ids = [made(api_gateway_client, sample_widget_data)["id"] for _ in range(10)]

        def flush_and_read():
            redis_client.delete(*[f"widget:{wid}" for wid in ids])
            first = [api_gateway_client.get_widget(wid).headers["X-Cache"] for wid in ids]
            again = [api_gateway_client.get_widget(wid).headers["X-Cache"] for wid in ids]
            assert (set(first), set(again)) == ({"miss"}, {"hit"})

        calm(flush_and_read)


class TestManyWidgets:
    """Bulk, lists and what happens meanwhile."""

    @pytest.mark.planted(plants.ONE_BY_ONE)
    def test_bulk_reaches_every_store(
        self, api_gateway_client, orb_core_client, clean_database, postgres_cursor, redis_client, lab
    ):
        """A hundred at once: recorded in one transaction, made native by the relay, cached, all active.

        ORB Core is away at first, so that the rows are still those that the request has written.
        """
        bodies = [{"name": f"bulk {number}", "payload": {"n": number}} for number in range(100)]
        with broken(lab, Down(), "widget-core.orb-core"):
            answer = api_gateway_client.create_widgets(bodies)
            assert answer.status_code == 201, answer.text
            postgres_cursor.execute("SELECT state, count(*), count(DISTINCT xmin::text) FROM widgets GROUP BY state")
            assert postgres_cursor.fetchall() == [("pending", 100, 1)]
        ids = [widget["id"] for widget in answer.json()["widgets"]]
        assert at_rest(postgres_cursor, orb_core_client) == len(set(ids)) == 100
        soon(lambda: redis_client.exists(*[f"widget:{wid}" for wid in ids]) == 100, "all are cached")
        soon(lambda: api_gateway_client.get_native(ids[42]).json().get("payload") == {"n": 42}, "its payload is shown")

    def test_a_cursor_survives_what_is_written_meanwhile(self, api_gateway_client, clean_database):
        """Pages read while widgets come and go: whoever was there all the time is met exactly once, in order."""
        stay = [made(api_gateway_client, {"name": f"stays {number}"})["id"] for number in range(9)]
        met, cursor = [], None
        for round_ in range(10):
            page = api_gateway_client.list_widgets(limit=2, cursor=cursor).json()
            met += [widget["id"] for widget in page["widgets"]]
            come = made(api_gateway_client, {"name": f"comes {round_}"})["id"]
            if round_ % 2:
                assert api_gateway_client.delete_widget(come).status_code == 204
            if round_ < len(met):
                api_gateway_client.update_widget(met[0], {"name": f"changed {round_}"})
            if (cursor := page.get("next")) is None:
                break
        assert [wid for wid in met if wid in stay] == stay
        assert len(met) == len(set(met))

    def test_pending_widgets_are_finished_and_orphans_removed(
        self, api_gateway_client, orb_core_client, clean_database, postgres_cursor
    ):
        """Rows without their entries get native objects; a native object without its row is released."""
        kept = made(api_gateway_client, {"name": "kept", "payload": {"a": 1}})["id"]
        orphan = made(api_gateway_client, {"name": "orphan"})["id"]
        postgres_cursor.execute("DELETE FROM widgets WHERE id = %s", [orphan])
        forgotten = [str(uuid.uuid4()) for _ in range(2)]
        for wid in forgotten:
            postgres_cursor.execute(
                "INSERT INTO widgets (id, name, payload, state, owner) VALUES (%s, 'forgotten', '{}', 'pending', 'x')",
                [wid],
            )
        soon(
            lambda: {native["id"] for native in orb_core_client.objects().json()} == {kept, *forgotten},
            "the native objects are those of the rows",
            2 * SOON_S,
        )
        soon(lambda: at_rest(postgres_cursor, orb_core_client) == 3, "all are active")


class TestLimitsAndMetrics:
    """What is counted, and by whom."""

    def test_a_user_who_asks_too_often_is_told_when_to_come_back(
        self, api_gateway_client, redis_client, tokens, user, sample_widget_data, calm
    ):
        """429 with Retry-After and no effect; others are served, and so is he in the next window.

        It is looked at again when Redis did not answer in its 50 ms: then the gateway counts for itself, as it should.
        """
        client = api_gateway_client.with_token(tokens["access_token"])
        assert client.list_widgets(limit=1).status_code == 200

        def ask_too_often():
            window = int(time.time())
            for second in range(window, window + 4):
                redis_client.set(f"limit:general:{user['id']}:{second}", 1_000_000, px=4000)
            limited = client.create_widget(sample_widget_data)
            assert (limited.status_code, limited.json().get("type")) == (429, "urn:problem:rate-limited")
            assert (limited.json()["outcome"], int(limited.headers["Retry-After"]) >= 1) == ("not-done", True)

        calm(ask_too_often)
        assert api_gateway_client.list_widgets(limit=1).status_code == 200
        redis_client.delete(*redis_client.scan_iter(f"limit:general:{user['id']}:*"))
        assert client.create_widget(sample_widget_data).status_code == 201

    def test_the_metrics_of_all_services_move_with_the_work(
        self, api_gateway_client, widget_core_client, security_service_client, orb_core_client, sample_widget_data, user
    ):
        """A login, a create, a cached read and a delete are counted on each edge they crossed."""

        def seen() -> list[float]:
            gateway, core = api_gateway_client, widget_core_client
            return [
                metric(gateway, "resilience_calls_total", edge="gateway.security", outcome="ok"),
                metric(gateway, "resilience_calls_total", edge="gateway.widget-core", outcome="ok"),
                metric(security_service_client, "resilience_calls_total", edge="security.postgres", outcome="ok"),
                metric(core, "resilience_calls_total", edge="widget-core.postgres", outcome="ok"),
                metric(core, "resilience_calls_total", edge="widget-core.orb-core", outcome="ok"),
                metric(core, "cache_requests_total", result="hit"),
                metric(orb_core_client, "orb_memory_allocations_total"),
                metric(orb_core_client, "polyorb_memory_deallocations_total", critical="true"),
            ]

        before = seen()
        log_in(api_gateway_client, user)
        wid = made(api_gateway_client, {**sample_widget_data, "critical": True})["id"]
        for _ in range(3):  # one of them, at least, is served by the cache
            assert api_gateway_client.get_widget(wid).status_code == 200
        assert api_gateway_client.delete_widget(wid).status_code == 204
        least = [1, 3, 2, 2, 1, 1, 1, 1]
        soon(
            lambda: all(now - then >= by for now, then, by in zip(seen(), before, least, strict=True)),
            "every edge has counted",
        )

    def test_health_of_all_services_is_well_and_shallow(self, platform, http_session):
        """Each says who it is, that nothing is degraded, and answers fast enough for any orchestrator."""
        for name, url in documents.urls(platform).items():
            well = {"status": "ok", "service": name.replace("_", "-"), "degraded": []}
            ask = partial(http_session.get, f"{url}/health/ready", timeout=2)
            soon(lambda ask=ask, well=well: ask().json() == well, f"{name} is well")
            took = []
            for _ in range(5):
                began = time.monotonic()
                assert ask().status_code == 200
                took.append(time.monotonic() - began)
            assert median(took) < 0.1
