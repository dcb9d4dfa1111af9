"""Every edge of the platform broken through Toxiproxy: users see what was promised, nothing acknowledged is lost.

Each fault is shown to have taken hold before anything is asserted, and after each test the platform is well again
without a restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import pytest
import requests

from chaos import Blackhole, Down, HalfOpen, Lab, Latency, wait_for
from services.client import ApiGatewayClient, new_key
from tests.integration.support import cleaning
from tests.integration.support.cleaning import at_rest
from tests.integration.support.faults import broken
from tests.integration.support.metrics import metric
from tests.integration.support.stack import one

pytestmark = pytest.mark.resilience

AUTH = "/api/v1/auth"
DEADLINE_S = 1.0
SLACK_S = 1.0
"""For the test's own threads on a busy machine. Without a deadline the same requests take longer than four seconds."""

# A breaker that relapses again and again stays open for up to 4 s, and two good calls close it.
WELL_WITHIN_S = 12.0
REDIS_MAY_TAKE_S = 0.05
LEAKS = ("127.0.0.1", "localhost", "psycopg", "redis.exceptions", "CORBA", "Traceback")


@pytest.fixture
def api_gateway_client(api_gateway_client: ApiGatewayClient) -> ApiGatewayClient:
    """The gateway's client, whose token every service has met: their keys are no part of these tests."""
    assert api_gateway_client.list_widgets(limit=1).ok
    return api_gateway_client


def refused(answer: requests.Response, *edges: str) -> None:
    """503 that says when to come back and which of *edges* is degraded, and nothing of the inside."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["X-Degraded"] in edges
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not [leak for leak in LEAKS if leak in answer.text]


def timed(work: Callable[[], requests.Response]) -> requests.Response:
    """The answer of *work*, which must come within the platform's deadline."""
    began = time.monotonic()
    answer = work()
    took = time.monotonic() - began
    assert took < DEADLINE_S + SLACK_S, f"answered after {took:.2f} s"
    return answer


def named(cursor, name: str) -> list[tuple[str, str, int]]:
    """Id, state and version of all widgets of that name."""
    cursor.execute("SELECT id::text, state, version FROM widgets WHERE name = %s", [name])
    return cursor.fetchall()


def created(client, data) -> str:
    """The id of a new widget, whose creation succeeds at the first try."""
    answer = client.create_widget(data, key=new_key())
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def finally_made(client, data, key: str) -> requests.Response:
    """The answer to a create that is repeated, with its key, until it is acknowledged."""
    return wait_for(
        lambda: answer if (answer := client.create_widget(data, key=key)).status_code == 201 else None,
        what="the repeated create is acknowledged",
        within_s=WELL_WITHIN_S,
        every_s=0.05,
    )


class TestGatewayToWidgetCore:
    """Without Widget Core there are no widgets, and everybody is told so at once."""

    EDGE = "gateway.widget-core"

    def test_refused(self, api_gateway_client, lab: Lab, sample_widget_data, sample_user_data, postgres_cursor):
        """Reads, lists and writes are 503 and nothing is stored; users come and go as ever."""
        wid = created(api_gateway_client, {"name": "before"})
        with broken(lab, Down(), self.EDGE):
            refused(api_gateway_client.get_widget(wid), self.EDGE)
            refused(api_gateway_client.list_widgets(), self.EDGE)
            refused(api_gateway_client.create_widget(sample_widget_data), self.EDGE)
            assert api_gateway_client.register_user(sample_user_data).status_code == 201
            assert api_gateway_client.login(sample_user_data).status_code == 200
        assert named(postgres_cursor, sample_widget_data["name"]) == []

    def test_silent(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor):
        """A create is answered within the deadline as unknown; repeated with its key it is one widget."""
        key = new_key()
        with broken(lab, Blackhole(), self.EDGE):
            answer = timed(lambda: api_gateway_client.create_widget(sample_widget_data, key=key))
            refused(answer, self.EDGE)
            assert answer.json()["outcome"] == "unknown"
            assert named(postgres_cursor, sample_widget_data["name"]) == []
        answer = finally_made(api_gateway_client, sample_widget_data, key)
        assert [row[0] for row in named(postgres_cursor, sample_widget_data["name"])] == [answer.json()["id"]]

    def test_half_open(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor):
        """The widget is made and the answer lost: the repeat finds it and makes no second one."""
        key = new_key()
        with broken(lab, HalfOpen(), self.EDGE):
            answer = timed(lambda: api_gateway_client.create_widget(sample_widget_data, key=key))
            assert (answer.status_code, answer.json()["outcome"]) == (503, "unknown")
            [(wid, _, _)] = wait_for(
                lambda: named(postgres_cursor, sample_widget_data["name"]), what="it is stored", within_s=WELL_WITHIN_S
            )
        answer = finally_made(api_gateway_client, sample_widget_data, key)
        assert (answer.json()["id"], answer.headers.get("Idempotent-Replay")) == (wid, "true")
        assert [row[0] for row in named(postgres_cursor, sample_widget_data["name"])] == [wid]

    def test_slow(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor):
        """A round trip that takes 100 ms longer is slower, not an error, and nothing is done twice."""
        with broken(lab, Latency(delay_ms=100), self.EDGE):
            wid = created(api_gateway_client, sample_widget_data)
            assert api_gateway_client.get_widget(wid).status_code == 200
        assert named(postgres_cursor, sample_widget_data["name"]) == [(wid, "active", 1)]


class TestGatewayToSecurity:
    """Tokens are verified at the gateway itself: only what needs the Security Service waits for it."""

    EDGE = "gateway.security"

    def test_refused(self, api_gateway_client, lab: Lab, sample_widget_data, sample_user_data):
        """Nobody can log in, who is logged in works on."""
        with broken(lab, Down(), self.EDGE):
            refused(api_gateway_client.login(sample_user_data), self.EDGE)
            refused(api_gateway_client.me(), self.EDGE)
            wid = created(api_gateway_client, sample_widget_data)
            assert api_gateway_client.get_widget(wid).json()["name"] == sample_widget_data["name"]

    def test_silent(self, api_gateway_client, lab: Lab, sample_widget_data, sample_user_data):
        """A login is given up within the deadline, and does not hold up anybody else."""
        with broken(lab, Blackhole(), self.EDGE):
            refused(timed(lambda: api_gateway_client.login(sample_user_data)), self.EDGE)
            answer = timed(lambda: api_gateway_client.create_widget(sample_widget_data, key=new_key()))
            assert answer.status_code == 201, answer.text

    def test_half_open(self, api_gateway_client, lab: Lab, sample_user_data, postgres_cursor):
        """A registration whose answer was lost is unknown to its sender, was done once, and is on record."""
        with broken(lab, HalfOpen(), self.EDGE):
            answer = timed(lambda: api_gateway_client.register_user(sample_user_data))
            assert (answer.status_code, answer.json()["outcome"]) == (503, "unknown")
        statement = "SELECT count(*) FROM audit_log a JOIN users u ON a.actor = u.id::text WHERE u.email = %s"

        def recorded() -> int:
            postgres_cursor.execute(statement, [sample_user_data["email"]])
            return one(postgres_cursor)

        assert wait_for(recorded, what="it is on record", within_s=WELL_WITHIN_S) == 1
        wait_for(
            lambda: api_gateway_client.login(sample_user_data).status_code == 200,
            what="the user can log in",
            within_s=WELL_WITHIN_S,
            every_s=0.05,
        )


class TestGatewayToRedis:
    """The gateway counts requests by itself when it cannot count in Redis, and slows nobody down."""

    EDGE = "gateway.redis"

    def test_refused(self, api_gateway_client, lab: Lab, sample_widget_data, redis_client, clean_redis):
        """Reads and writes go on; what is counted meanwhile is not counted in Redis."""
        with broken(lab, Down(), self.EDGE):
            cleaning.clean_cache(redis_client)
            wid = created(api_gateway_client, sample_widget_data)
            assert [api_gateway_client.get_widget(wid).status_code for _ in range(5)] == [200] * 5
            assert redis_client.keys("limit:*") == []
        wait_for(
            lambda: api_gateway_client.get_widget(wid).ok and redis_client.keys("limit:*"),
            what="requests are counted together again",
            within_s=WELL_WITHIN_S,
            every_s=0.05,
        )

    def test_silent(self, api_gateway_client, lab: Lab, sample_widget_data):
        """Each request waits for Redis for a moment at most, and later ones not at all."""
        with broken(lab, Blackhole(), self.EDGE):
            wid = timed(lambda: api_gateway_client.create_widget(sample_widget_data)).json()["id"]
            for _ in range(5):
                assert timed(lambda: api_gateway_client.get_widget(wid)).status_code == 200
            attempts = partial(metric, api_gateway_client, "resilience_attempts_total", edge=self.EDGE)
            before, took = attempts(), []
            for _ in range(5):
                began = time.monotonic()
                assert api_gateway_client.get_widget(wid).status_code == 200
                took.append(time.monotonic() - began)
            assert median(took) < REDIS_MAY_TAKE_S, f"{took} s"
            assert attempts() - before < 5, "with its breaker open Redis is not asked each time"

    def test_slow(self, api_gateway_client, lab: Lab, sample_widget_data):
        """Slower than Redis may be, 80 ms: as good as away, each request is counted by the gateway alone."""
        with broken(lab, Latency(delay_ms=80), self.EDGE):
            alone = partial(metric, api_gateway_client, "rate_limit_requests_local_total")
            before = alone()
            wid = created(api_gateway_client, sample_widget_data)
            assert timed(lambda: api_gateway_client.get_widget(wid)).status_code == 200
            assert alone() - before == 2


class TestWidgetCoreToPostgres:
    """Without the record nothing is changed; what is known is shown, and marked as what it is."""

    EDGE = "widget-core.postgres"

    def test_refused(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor):
        """Creates, updates and deletes are 503 and leave no trace in the record."""
        wid = created(api_gateway_client, {"name": "before"})
        with broken(lab, Down(), self.EDGE):
            refused(api_gateway_client.create_widget(sample_widget_data), self.EDGE)
            refused(api_gateway_client.update_widget(wid, {"name": "after"}), self.EDGE)
            refused(api_gateway_client.delete_widget(wid), self.EDGE)
        assert named(postgres_cursor, sample_widget_data["name"]) == []
        assert (wid, "active", 1) in named(postgres_cursor, "before")

    def test_stale_reads(self, api_gateway_client, lab: Lab, sample_widget_data, redis_client, postgres_cursor):
        """A widget that is not cached is shown as last seen, with its age; one that nobody has seen is 503."""
        wid = created(api_gateway_client, sample_widget_data)
        with broken(lab, Down(), self.EDGE):
            redis_client.delete(f"widget:{wid}")
            read = api_gateway_client.get_widget(wid)
            assert (read.status_code, read.headers["X-Cache"], read.json()["id"]) == (200, "stale", wid)
            assert int(read.headers["Age"]) >= 0
            refused(api_gateway_client.get_widget(wid, min_version=2), self.EDGE)
            refused(api_gateway_client.get_widget("00000000-0000-4000-8000-000000000000"), self.EDGE)

    def test_cached_reads(self, api_gateway_client, lab: Lab, sample_widget_data):
        """What the cache holds is read as ever: nobody asks Postgres."""
        wid = created(api_gateway_client, sample_widget_data)
        with broken(lab, Blackhole(), self.EDGE):
            read = timed(lambda: api_gateway_client.get_widget(wid))
            assert (read.status_code, read.headers["X-Cache"]) == (200, "hit")

    def test_silent(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor):
        """An update is unknown within the deadline; repeated with its key it is applied exactly once."""
        wid, key = created(api_gateway_client, sample_widget_data), new_key()
        with broken(lab, Blackhole(), self.EDGE):
            answer = timed(lambda: api_gateway_client.update_widget(wid, {"description": "x"}, key=key))
            # Both wait for the same silence: whose deadline is met first is a matter of 20 ms.
            refused(answer, self.EDGE, TestGatewayToWidgetCore.EDGE)
        wait_for(
            lambda: api_gateway_client.update_widget(wid, {"description": "x"}, key=key).status_code == 200,
            what="the update is acknowledged",
            within_s=WELL_WITHIN_S,
            every_s=0.05,
        )
        assert named(postgres_cursor, sample_widget_data["name"]) == [(wid, "active", 2)]

    def test_half_open(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor, orb_core_client):
        """Statements that arrive and whose replies are lost make one widget, however often they are repeated."""
        key = new_key()
        with broken(lab, HalfOpen(), self.EDGE):
            answer = timed(lambda: api_gateway_client.create_widget(sample_widget_data, key=key))
            assert answer.status_code in {201, 503}, answer.text
        answer = finally_made(api_gateway_client, sample_widget_data, key)
        assert [row[0] for row in named(postgres_cursor, sample_widget_data["name"])] == [answer.json()["id"]]
        at_rest(postgres_cursor, orb_core_client)

    def test_slow(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor):
        """Every statement takes 60 ms longer: answers are slower and right."""
        with broken(lab, Latency(delay_ms=60), self.EDGE):
            wid = created(api_gateway_client, sample_widget_data)
            updated = api_gateway_client.update_widget(wid, {"description": "x"}, match=1)
            assert (updated.status_code, updated.json()["version"]) == (200, 2)
        assert named(postgres_cursor, sample_widget_data["name"]) == [(wid, "active", 2)]


class TestWidgetCoreToRedis:
    """The cache is optional: without it reads come from the record, and are never older than what was seen."""

    EDGE = "widget-core.redis"

    def test_refused(self, api_gateway_client, lab: Lab, sample_widget_data):
        """Reads bypass the cache, and an update is seen by the very next one."""
        wid = created(api_gateway_client, sample_widget_data)
        with broken(lab, Down(), self.EDGE):
            assert api_gateway_client.get_widget(wid).headers["X-Cache"] == "bypass"
            assert api_gateway_client.update_widget(wid, {"name": "new"}).status_code == 200
            read = api_gateway_client.get_widget(wid)
            assert (read.json()["name"], read.headers["X-Cache"]) == ("new", "bypass")

    def test_silent(self, api_gateway_client, lab: Lab, sample_widget_data):
        """Nobody waits for a silent cache for long: create, read and update stay within the deadline."""
        with broken(lab, Blackhole(), self.EDGE):
            wid = timed(lambda: api_gateway_client.create_widget(sample_widget_data)).json()["id"]
            assert timed(lambda: api_gateway_client.get_widget(wid)).headers["X-Cache"] == "bypass"
            assert timed(lambda: api_gateway_client.update_widget(wid, {"name": "n"})).json()["version"] == 2

    def test_half_open(self, api_gateway_client, lab: Lab, sample_widget_data, redis_client):
        """Puts of unknown outcome never bring an older version back, during the fault or after it."""
        wid = created(api_gateway_client, sample_widget_data)
        with broken(lab, HalfOpen(), self.EDGE):
            for version in range(2, 5):
                assert api_gateway_client.update_widget(wid, {"name": f"v{version}"}).json()["version"] == version
                assert api_gateway_client.get_widget(wid).json()["version"] == version
        seen = wait_for(lambda: redis_client.get(f"widget:{wid}"), what="it is cached", within_s=WELL_WITHIN_S)
        wait_for(
            lambda: (
                api_gateway_client.get_widget(wid).headers["X-Cache"] != "bypass" and _cached(redis_client, wid) == 4
            ),
            what=f"the cache has the newest version, not {seen[:2]}",
            within_s=WELL_WITHIN_S,
            every_s=0.05,
        )
        assert api_gateway_client.get_widget(wid).json()["version"] == 4


def _cached(redis_client, wid: str) -> int:
    value = redis_client.get(f"widget:{wid}")
    return int(value.split(" ", 1)[0]) if value else 0


class TestWidgetCoreToOrbCore:
    """Native objects may come later; what was acknowledged comes."""

    EDGE = "widget-core.orb-core"

    def test_refused(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor, orb_core_client):
        """A create is acknowledged as pending, with its edge named, and finished by the relay afterwards."""
        with broken(lab, Down(), self.EDGE):
            answer = api_gateway_client.create_widget(sample_widget_data, key=new_key())
            assert (answer.status_code, answer.json()["state"]) == (201, "pending")
            assert answer.headers["X-Degraded"] == self.EDGE
            assert answer.headers["ETag"] == '"1-pending"'
        wid = answer.json()["id"]
        wait_for(
            lambda: named(postgres_cursor, sample_widget_data["name"]) == [(wid, "active", 1)],
            what="the relay has finished it",
            within_s=WELL_WITHIN_S,
        )
        at_rest(postgres_cursor, orb_core_client)

    def test_silent(self, api_gateway_client, lab: Lab, sample_widget_data):
        """A create is pending within the deadline; the native object is shown as last known."""
        wid = created(api_gateway_client, sample_widget_data)
        wait_for(
            lambda: api_gateway_client.get_native(wid).headers.get("X-Cache") == "miss",
            what="ORB Core is asked",
            within_s=WELL_WITHIN_S,
        )
        with broken(lab, Blackhole(), self.EDGE):
            answer = timed(lambda: api_gateway_client.create_widget({"name": "meanwhile"}, key=new_key()))
            assert (answer.status_code, answer.json()["state"]) == (201, "pending"), answer.text
            native = timed(lambda: api_gateway_client.get_native(wid))
            assert (native.status_code, native.headers["X-Cache"]) == (200, "stale")
            assert native.headers["X-Degraded"] == self.EDGE
            assert native.json()["payload"] == sample_widget_data["payload"]

    def test_half_open(
        self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor, orb_core_client, clean_database
    ):
        """Calls that arrive and whose replies are lost are repeated with their key: one native object each."""
        with broken(lab, HalfOpen(), self.EDGE):
            widgets = [sample_widget_data, {"name": "second", "critical": True}]
            answers = [timed(lambda one=one: api_gateway_client.create_widget(one, key=new_key())) for one in widgets]
            assert [answer.status_code for answer in answers] == [201, 201], [answer.text for answer in answers]
        assert at_rest(postgres_cursor, orb_core_client) == 2
        natives = {native["id"] for native in orb_core_client.objects().json()}
        assert natives == {answer.json()["id"] for answer in answers}

    def test_a_delete_is_delivered_later(
        self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor, orb_core_client, clean_database
    ):
        """A delete while ORB Core is away is done at once for users, and wiped from memory when it is back."""
        wid = created(api_gateway_client, {**sample_widget_data, "critical": True})
        before = orb_core_client.memory().json()["critical_deallocations"]
        with broken(lab, Down(), self.EDGE):
            assert api_gateway_client.delete_widget(wid).status_code == 204
            assert api_gateway_client.get_widget(wid).status_code == 404
            assert orb_core_client.memory().json()["critical_deallocations"] == before
        assert at_rest(postgres_cursor, orb_core_client) == 0
        assert orb_core_client.memory().json()["critical_deallocations"] == before + 1


class TestWidgetCoreToSecurity:
    """Widget Core has the public keys: it needs the Security Service for no request."""

    EDGE = "widget-core.security"

    @pytest.mark.parametrize("fault", [Down(), Blackhole()], ids=["refused", "silent"])
    def test_nobody_notices(self, api_gateway_client, lab: Lab, sample_widget_data, sample_user_data, fault):
        """Users who log in meanwhile are believed as those before."""
        with broken(lab, fault, self.EDGE):
            api_gateway_client.register_user(sample_user_data)
            token = api_gateway_client.login(sample_user_data).json()["access_token"]
            answer = timed(lambda: api_gateway_client.create_widget(sample_widget_data, token=token))
            assert answer.status_code == 201
            assert "X-Degraded" not in answer.headers


class TestSecurityToPostgres:
    """Whoever cannot be checked is not let in, and whoever is in works on."""

    EDGE = "security.postgres"

    def test_refused(self, api_gateway_client, lab: Lab, sample_widget_data, sample_user_data):
        """Logins and renewals fail closed, and are not held against the user: no lock-out afterwards."""
        api_gateway_client.register_user(sample_user_data)
        tokens = api_gateway_client.login(sample_user_data).json()
        with broken(lab, Down(), self.EDGE):
            for _ in range(6):
                assert api_gateway_client.login(sample_user_data).status_code == 503
            refused(api_gateway_client.refresh(tokens["refresh_token"]), self.EDGE)
            created(api_gateway_client.with_token(tokens["access_token"]), sample_widget_data)
        wait_for(
            lambda: api_gateway_client.login(sample_user_data).status_code == 200,
            what="the user can log in",
            within_s=WELL_WITHIN_S,
            every_s=0.05,
        )
        assert api_gateway_client.refresh(tokens["refresh_token"]).status_code == 200

    def test_silent(self, api_gateway_client, lab: Lab, sample_user_data):
        """A login is given up within the deadline."""
        api_gateway_client.register_user(sample_user_data)
        with broken(lab, Blackhole(), self.EDGE):
            answer = timed(lambda: api_gateway_client.login(sample_user_data))
            assert (answer.status_code, "access_token" in answer.text) == (503, False)

    def test_half_open(self, api_gateway_client, lab: Lab, sample_user_data, postgres_cursor):
        """A registration of unknown outcome is there once or not at all, and so is its record."""
        with broken(lab, HalfOpen(), self.EDGE):
            assert timed(lambda: api_gateway_client.register_user(sample_user_data)).status_code == 503
        email = sample_user_data["email"]
        wait_for(
            lambda: api_gateway_client.register_user(sample_user_data).status_code in {201, 409},
            what="the registration is decided",
            within_s=WELL_WITHIN_S,
            every_s=0.05,
        )
        statement = """SELECT count(DISTINCT u.id), count(a.seq) FROM users u
            LEFT JOIN audit_log a ON a.actor = u.id::text AND a.action = 'register' WHERE u.email = %s"""
        postgres_cursor.execute(statement, [email])
        assert postgres_cursor.fetchone() == (1, 1)
        assert api_gateway_client.login(sample_user_data).status_code == 200


class TestSecurityToRedis:
    """What is revoked is recorded in Postgres; Redis only carries the news."""

    EDGE = "security.redis"

    def test_refused(self, api_gateway_client, security_service_client, lab: Lab, sample_user_data):
        """A logout is acknowledged and holds at the Security Service at once, at the gateway after the return."""
        api_gateway_client.register_user(sample_user_data)
        token = api_gateway_client.login(sample_user_data).json()["access_token"]
        with broken(lab, Down(), self.EDGE):
            assert api_gateway_client.logout(token=token).status_code == 204
            assert security_service_client.me(token=token).status_code == 401
        wait_for(
            lambda: api_gateway_client.list_widgets(token=token, limit=1).status_code == 401,
            what="the gateway knows of the logout",
            within_s=WELL_WITHIN_S,
            every_s=0.05,
        )

    def test_silent(self, api_gateway_client, lab: Lab, sample_user_data):
        """Registering and logging in need no Redis."""
        with broken(lab, Blackhole(), self.EDGE):
            assert timed(lambda: api_gateway_client.register_user(sample_user_data)).status_code == 201
            assert timed(lambda: api_gateway_client.login(sample_user_data)).status_code == 200


class TestManyEdgesAtOnce:
    """Faults seldom come alone."""

    def test_both_stores_of_widget_core(self, api_gateway_client, lab: Lab, sample_widget_data, postgres_cursor):
        """Record and cache refused: reads are stale, writes 503, and nothing is lost."""
        wid = created(api_gateway_client, sample_widget_data)
        with broken(lab, Down(), "widget-core.postgres"), broken(lab, Down(), "widget-core.redis"):
            read = api_gateway_client.get_widget(wid)
            assert (read.status_code, read.headers["X-Cache"]) == (200, "stale")
            assert api_gateway_client.update_widget(wid, {"name": "x"}).status_code == 503
        assert named(postgres_cursor, sample_widget_data["name"]) == [(wid, "active", 1)]

    def test_every_edge_refused(self, api_gateway_client, platform, lab: Lab, http_session, sample_widget_data):
        """Every service stays up and says so, every request is answered, and all is well after the return."""
        wid = created(api_gateway_client, sample_widget_data)
        with broken(lab, Down(), "*"):
            assert timed(lambda: api_gateway_client.get_widget(wid)).status_code == 503
            assert timed(api_gateway_client.me).status_code == 503
            for url in (platform.gateway, platform.widget_core, platform.security, platform.orb_core):
                assert http_session.get(f"{url}/health/live", timeout=1).status_code == 200
        wait_for(
            lambda: api_gateway_client.get_widget(wid).status_code == 200,
            what="the widget can be read",
            within_s=WELL_WITHIN_S,
            every_s=0.05,
        )
