"""Integration tests: what users see while something is broken, and that it ends when the cause does.

Faults go through Toxiproxy, processes are killed for real, and every test leaves the platform well: the
fixture ``lab`` waits for that.
"""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from chaos import Blackhole, Down, HalfOpen
from chaos.clock import wait_for
from services.client import ApiGatewayClient, new_key
from tests.integration.support.cleaning import at_rest, clean_cache, empty_redis
from tests.integration.support.faults import broken
from tests.integration.support.metrics import metric
from tests.integration.support.patience import all_made, made
from tests.integration.support.performance import percentile
from tests.integration.support.processes import killed
from tests.integration.support.together import THREADS, together

pytestmark = pytest.mark.resilience

SOON_S = 8.0
DEADLINE_S = 1.0
SLACK_S = 1.0
"""For the test's own threads on a busy machine. Without a deadline the same requests take longer than four seconds."""

POSTGRES, CACHE, ORB = "widget-core.postgres", "widget-core.redis", "widget-core.orb-core"
OPEN = 2
OPEN_S = 1.0  # the shortest pause of a breaker, after which one probe is due
UNTIL_OPEN = 5
INSIDE = ("127.0.0.1", "localhost", "psycopg", "redis.", "Traceback", "services.", "IOR:", "SELECT")


@pytest.fixture
def widget_id(api_gateway_client: ApiGatewayClient, sample_widget_data: dict[str, Any]) -> str:
    """The id of a widget at version 1, known to Widget Core and with its native object."""
    widget = made(api_gateway_client, sample_widget_data)
    wait_for(
        lambda: api_gateway_client.get_widget(widget["id"]).json().get("state") == "active",
        what="it is active",
        within_s=SOON_S,
    )
    return widget["id"]


def count(cursor, statement, *values):
    """The one number that *statement* gives."""
    cursor.execute(statement, values)
    return cursor.fetchone()[0]


def assert_graceful(response):
    """A 503 as a problem document with Retry-After, which tells nothing of the inside."""
    assert response.status_code == 503, f"Expected 503, got {response.status_code}: {response.text}"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "Retry-After" in response.headers
    assert not [word for word in INSIDE if word in response.text], response.text


def cut_sessions(cursor):
    """End every other connection to this database, and to no other one; how many there were."""
    return count(
        cursor,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()",
    )


class TestDatabaseFailureRecovery:
    """The record away: reads go on for a while, writes are refused honestly, and both come back by themselves."""

    def test_database_connection_loss_recovery(
        self, lab, api_gateway_client, authenticated_token, postgres_connection, sample_widget_data
    ):
        """A creation succeeds, fails gracefully without the database, and succeeds again; the failure left no row."""
        assert api_gateway_client.create_widget(sample_widget_data, token=authenticated_token).status_code == 201
        with broken(lab, Down(), POSTGRES):
            assert_graceful(api_gateway_client.create_widget({"name": "never"}, key=new_key()))
        wait_for(
            lambda: api_gateway_client.create_widget({"name": "again"}).status_code == 201,
            what="creations succeed again",
            within_s=SOON_S,
            every_s=0.05,
        )
        with postgres_connection.cursor() as cursor:
            assert count(cursor, "SELECT count(*) FROM widgets WHERE name = 'never'") == 0

    def test_reads_outlive_the_database(self, lab, api_gateway_client, widget_id, redis_client):
        """Without the database a cached widget is read as before; one that the cache lost is shown stale."""
        with broken(lab, Down(), POSTGRES):
            hit = api_gateway_client.get_widget(widget_id)
            redis_client.delete(f"widget:{widget_id}")
            stale = api_gateway_client.get_widget(widget_id)
        assert (hit.status_code, hit.headers["X-Cache"]) == (200, "hit")
        assert (stale.status_code, stale.headers["X-Cache"]) == (200, "stale")
        assert stale.json() == hit.json()

    def test_sessions_that_were_ended_are_replaced(self, lab, api_gateway_client, widget_id, postgres_cursor):
        """The server ends every session: requests with a key succeed at the first try, on new connections."""
        assert cut_sessions(postgres_cursor) >= 1
        answer = api_gateway_client.update_widget(widget_id, {"name": "after"}, key=new_key())
        assert answer.status_code == 200, answer.text
        assert count(postgres_cursor, "SELECT version FROM widgets WHERE id = %s", widget_id) == 2

    def test_a_silent_database_costs_a_bounded_time(self, lab, api_gateway_client, widget_id, postgres_cursor):
        """The database swallows everything and says nothing: the writer has his refusal within the deadline of 1 s."""
        with broken(lab, Blackhole(), POSTGRES):
            began = time.perf_counter()
            answer = api_gateway_client.update_widget(widget_id, {"name": "lost"}, key=new_key())
            took = time.perf_counter() - began
        assert_graceful(answer)
        assert took < DEADLINE_S + SLACK_S
        assert count(postgres_cursor, "SELECT version FROM widgets WHERE id = %s", widget_id) == 1


class TestRedisFailureRecovery:
    """The cache is optional."""

    def test_reads_fall_back_to_the_database(self, lab, api_gateway_client, widget_id, sample_widget_data):
        """Without Redis a read comes from the record, correct and marked; afterwards from the cache again."""
        with broken(lab, Down(), CACHE):
            read = api_gateway_client.get_widget(widget_id)
            assert (read.status_code, read.headers["X-Cache"]) == (200, "bypass"), read.text
            assert (read.json()["name"], read.json()["version"]) == (sample_widget_data["name"], 1)
        wait_for(
            lambda: api_gateway_client.get_widget(widget_id).headers["X-Cache"] == "hit",
            what="the cache answers again",
            within_s=SOON_S,
            every_s=0.05,
        )

    def test_an_update_that_the_cache_missed_is_never_hidden_by_it(
        self, lab, api_gateway_client, widget_id, redis_client
    ):
        """An update while Redis is silent: readers see it at once, and Redis is repaired by itself afterwards."""
        with broken(lab, Blackhole(), CACHE):
            assert api_gateway_client.update_widget(widget_id, {"name": "new"}).status_code == 200
        assert api_gateway_client.get_widget(widget_id).json()["name"] == "new"
        wait_for(
            lambda: (redis_client.get(f"widget:{widget_id}") or "").startswith("2 "),
            what="the cache holds version 2",
            within_s=SOON_S,
        )

    def test_a_redis_that_forgot_everything_is_refilled(self, api_gateway_client, widget_id, redis_client, lab, calm):
        """After a flush reads miss once and hit then, and the revocations are published again."""

        def read_twice():
            empty_redis(redis_client)
            reads = [api_gateway_client.get_widget(widget_id) for _ in range(2)]
            assert [(read.status_code, read.headers["X-Cache"]) for read in reads] == [(200, "miss"), (200, "hit")]

        calm(read_twice)
        wait_for(lambda: redis_client.exists("revocations:complete"), what="they are published", within_s=SOON_S)

    def test_the_rate_limit_does_not_need_redis(
        self, lab, api_gateway_client, widget_id, postgres_cursor, redis_client, clean_redis
    ):
        """While the gateway's Redis is gone, requests are limited by the gateway alone, and served."""
        with broken(lab, Down(), "gateway.redis"):
            clean_cache(redis_client)
            before = metric(api_gateway_client, "rate_limit_requests_local_total")
            assert [api_gateway_client.get_widget(widget_id).status_code for _ in range(5)] == [200] * 5
            assert api_gateway_client.update_widget(widget_id, {"name": "limited"}).status_code == 200
            assert metric(api_gateway_client, "rate_limit_requests_local_total") >= before + 6
            assert redis_client.keys("limit:*") == []
        assert count(postgres_cursor, "SELECT version FROM widgets WHERE name = 'limited' AND id = %s", widget_id) == 2


class TestServiceFailureRecovery:
    """A service that others depend on is gone, or killed."""

    def test_a_killed_orb_core_is_refilled(
        self, platform, lab, api_gateway_client, orb_core_client, clean_database, postgres_cursor
    ):
        """Killed with -9, it comes back empty: the native objects return from the record, payloads included."""
        bodies = [{"name": f"w{number}", "payload": {"n": number}} for number in range(3)]
        ids = [widget["id"] for widget in all_made(api_gateway_client, bodies)]
        at_rest(postgres_cursor, orb_core_client)
        with killed(platform, "orb-core"):
            pass
        assert at_rest(postgres_cursor, orb_core_client) == 3

        def payloads():
            views = [api_gateway_client.get_native(wid) for wid in ids]
            return [view.json()["payload"] for view in views if view.headers["X-Cache"] == "miss"]

        expected = [body["payload"] for body in bodies]
        wait_for(lambda: payloads() == expected, what="ORB Core shows them", within_s=SOON_S, every_s=0.05)

    def test_a_killed_widget_core_loses_nothing(
        self, platform, lab, api_gateway_client, orb_core_client, clean_database, postgres_cursor
    ):
        """A bulk creation is acknowledged and Widget Core killed at once: its successor finishes what it began."""
        made = api_gateway_client.create_widgets([{"name": "survivor"}] * 20)
        with killed(platform, "widget-core"):
            assert made.status_code == 201
            assert_graceful(api_gateway_client.list_widgets())
        assert at_rest(postgres_cursor, orb_core_client) == 20

    def test_tokens_are_judged_without_the_security_service(
        self, lab, api_gateway_client, security_service_client, widget_id, sample_user_data, postgres_cursor
    ):
        """The way to the Security Service is cut: who is logged in goes on working, only logins wait."""
        security_service_client.register_user(sample_user_data)
        with broken(lab, Down(), "*.security"):
            assert api_gateway_client.update_widget(widget_id, {"name": "still here"}).status_code == 200
            assert_graceful(api_gateway_client.login(sample_user_data))
        statement = "SELECT version FROM widgets WHERE name = 'still here' AND id = %s"
        assert count(postgres_cursor, statement, widget_id) == 2
        statement = "SELECT count(*) FROM refresh_tokens t JOIN users u ON u.id = t.user_id WHERE u.email = %s"
        assert count(postgres_cursor, statement, sample_user_data["email"]) == 0
        wait_for(
            lambda: api_gateway_client.login(sample_user_data).status_code == 200,
            what="logins succeed again",
            within_s=SOON_S,
            every_s=0.05,
        )

    def test_the_gateway_says_so_when_widget_core_is_away(self, lab, api_gateway_client, widget_id, postgres_cursor):
        """The way to Widget Core is cut: widgets are 503 and unchanged, users are served, no restart is needed."""
        with broken(lab, Down(), "gateway.widget-core"):
            assert_graceful(api_gateway_client.get_widget(widget_id))
            assert_graceful(api_gateway_client.update_widget(widget_id, {"name": "never"}, key=new_key()))
            assert api_gateway_client.me().status_code == 200
        assert count(postgres_cursor, "SELECT version FROM widgets WHERE id = %s", widget_id) == 1
        wait_for(
            lambda: api_gateway_client.get_widget(widget_id).status_code == 200,
            what="widgets are served again",
            within_s=SOON_S,
            every_s=0.05,
        )


class TestRetryLogic:
    """What is safe to repeat is repeated, and nothing else."""

    def test_a_lost_reply_is_made_good_by_the_key(self, lab, api_gateway_client, sample_widget_data, postgres_cursor):
        """The database commits and its reply is lost: the same request with the same key finds its one widget."""
        key = new_key()
        with broken(lab, HalfOpen(), POSTGRES):
            assert_graceful(api_gateway_client.create_widget(sample_widget_data, key=key))
        made = wait_for(
            lambda: _if_status(201, api_gateway_client.create_widget(sample_widget_data, key=key)),
            what="the repeat succeeds",
            within_s=SOON_S,
            every_s=0.05,
        )
        postgres_cursor.execute("SELECT id::text FROM widgets WHERE name = %s", [sample_widget_data["name"]])
        assert postgres_cursor.fetchall() == [(made.json()["id"],)]

    def test_without_a_key_an_unknown_outcome_is_not_repeated(
        self, lab, api_gateway_client, sample_widget_data, postgres_cursor
    ):
        """The reply is lost and there is no key: one row at most, and none where "not-done" was the answer."""
        with broken(lab, HalfOpen(), POSTGRES):
            answer = api_gateway_client.create_widget(sample_widget_data)
        assert_graceful(answer)
        rows = count(postgres_cursor, "SELECT count(*) FROM widgets WHERE name = %s", sample_widget_data["name"])
        assert rows <= (0 if answer.json()["outcome"] == "not-done" else 1)

    def test_a_refused_attempt_is_repeated_in_time(self, lab, api_gateway_client, widget_id, steady):
        """Widget Core is out of reach for a moment: a read that begins meanwhile succeeds at a later attempt."""
        edge = "gateway.widget-core"

        def retries():
            return metric(api_gateway_client, "resilience_retries_total", edge=edge)

        def read_through_a_gap():
            for _ in range(20):  # a retry budget is a share of the calls
                api_gateway_client.get_widget(widget_id)
            before = retries()
            with ThreadPoolExecutor(1) as pool:
                with broken(lab, Down(), edge):
                    reading = pool.submit(api_gateway_client.get_widget, widget_id)
                    wait_for(lambda: retries() > before or reading.done(), what="it is tried again", within_s=SOON_S)
                return reading.result(SOON_S).status_code == 200 and retries() > before

        for _ in range(3):  # the gap has to be shorter than the patience of one request
            if read_through_a_gap():
                return
            steady()
        pytest.fail("no read got through a short gap")


class TestCircuitBreaker:
    """A dependency that is down is not asked again and again."""

    def test_the_breaker_opens_and_closes(self, lab, widget_core_client, widget_id):
        """Five failures open it, the state says so, and after healing it closes without a restart."""
        with broken(lab, Down(), POSTGRES):
            for number in range(UNTIL_OPEN + 1):
                widget_core_client.update_widget(widget_id, {"name": f"n{number}"})
            assert metric(widget_core_client, "resilience_breaker_state", edge=POSTGRES) == OPEN
            assert POSTGRES in widget_core_client.ready().json()["degraded"]
        wait_for(
            lambda: (
                widget_core_client.update_widget(widget_id, {"name": "closed"}).status_code == 200
                and metric(widget_core_client, "resilience_breaker_state", edge=POSTGRES) == 0
            ),
            what="the breaker is closed",
            within_s=SOON_S,
            every_s=0.05,
        )

    def test_an_open_breaker_sends_nothing(self, lab, api_gateway_client, widget_id):
        """While it is open twenty requests at once make no attempt on Widget Core but the probes that are due."""
        edge = "gateway.widget-core"
        with broken(lab, Down(), edge):
            for _ in range(UNTIL_OPEN + 1):
                api_gateway_client.get_widget(widget_id)
            before = metric(api_gateway_client, "resilience_attempts_total", edge=edge)
            began = time.perf_counter()
            answers = together(lambda _: api_gateway_client.get_widget(widget_id))
            took = time.perf_counter() - began
            attempts = metric(api_gateway_client, "resilience_attempts_total", edge=edge) - before
        assert {answer.status_code for answer in answers} == {503}
        assert attempts <= 1 + took / OPEN_S, f"{attempts} attempts in {took:.1f} s"

    def test_breakers_are_separate(self, lab, api_gateway_client, widget_core_client, widget_id):
        """With the breaker to ORB Core open, reads and writes of widgets are served as ever."""
        with broken(lab, Down(), ORB):
            for _ in range(UNTIL_OPEN + 1):
                widget_core_client.get_native(widget_id)
            wait_for(
                lambda: metric(widget_core_client, "resilience_breaker_state", edge=ORB) == OPEN,
                what="the breaker to ORB Core is open",
                within_s=SOON_S,
            )
            assert metric(widget_core_client, "resilience_breaker_state", edge=POSTGRES) == 0
            assert api_gateway_client.get_widget(widget_id).status_code == 200
            assert api_gateway_client.update_widget(widget_id, {"name": "served"}).status_code == 200


@pytest.mark.performance
class TestErrorRecoveryPerformance:
    """Failing is quick, and so is recovering."""

    def test_failures_are_quick_once_the_breaker_is_open(self, lab, security_service_client, authenticated_token):
        """With the database of users down a refused question costs less than 100 ms at the median."""
        with broken(lab, Down(), "security.postgres"):
            for _ in range(UNTIL_OPEN + 1):
                security_service_client.me(token=authenticated_token)
            times = []
            for _ in range(15):
                began = time.perf_counter()
                assert_graceful(security_service_client.me(token=authenticated_token))
                times.append(time.perf_counter() - began)
        assert percentile(times, 0.5) < 0.1

    def test_recovery_takes_seconds(self, lab, api_gateway_client, performance_tracker):
        """After an outage that opened the breaker requests succeed within the longest pause, 4 s, and a second."""
        with broken(lab, Down(), "gateway.security"):
            for _ in range(UNTIL_OPEN + 1):
                assert_graceful(api_gateway_client.me())
        performance_tracker.start()
        wait_for(
            lambda: api_gateway_client.me().status_code == 200,
            what="requests succeed again",
            within_s=SOON_S,
            every_s=0.02,
        )
        performance_tracker.stop()
        performance_tracker.assert_duration_under(5.0, "Recovery")


class TestDataConsistency:
    """Whatever was acknowledged is there, exactly once, in every store."""

    @pytest.mark.planted("widget-core.idempotency")
    def test_no_acknowledged_write_is_lost(self, lab, api_gateway_client, clean_database, postgres_cursor):
        """Twenty writers go on through an outage of the database: every 201 is a row, and no key made two.

        Each writer sends what was refused or lost again with its key, as clients should.
        """
        answered = Counter()
        done = threading.Event()

        def write(_):
            acknowledged = {}
            while not done.is_set():
                name = new_key()
                status = None
                while status != 201 and not done.is_set():
                    status, wid = _outcome(lambda name=name: api_gateway_client.create_widget({"name": name}, key=name))
                    answered[status] += 1
                    done.wait(0.01)
                    acknowledged |= {name: wid} if status == 201 else {}
                acknowledged |= _again(api_gateway_client, name) if status == 201 else {}
            return acknowledged

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(together, write)
            try:
                wait_for(lambda: answered[201] >= THREADS, what="all of them write", within_s=SOON_S)
                with broken(lab, Down(), POSTGRES):
                    refused = answered[503]
                    wait_for(lambda: answered[503] > refused + THREADS, what="they are refused", within_s=SOON_S)
                again = answered[201]
                wait_for(lambda: answered[201] > again + THREADS, what="they write again", within_s=SOON_S)
            finally:
                done.set()
            acknowledged = {name: wid for one in writing.result(SOON_S) for name, wid in one.items()}
        postgres_cursor.execute("SELECT name, id::text FROM widgets")
        rows = postgres_cursor.fetchall()
        assert acknowledged.items() <= dict(rows).items()
        assert len(rows) == len({name for name, _ in rows}), "a key made two widgets"

    def test_the_stores_agree_after_an_outage_of_orb_core(
        self, lab, api_gateway_client, clean_database, orb_core_client, postgres_cursor, redis_client
    ):
        """Created, updated and deleted while ORB Core is away: afterwards record, cache and native objects agree."""
        kept, changed, gone = (made(api_gateway_client, {"name": n})["id"] for n in "abc")
        with broken(lab, Down(), ORB):
            created = api_gateway_client.create_widget({"name": "d"}, key=new_key())
            assert created.status_code == 201, created.text
            assert api_gateway_client.update_widget(changed, {"payload": {"n": 2}}).status_code == 200
            assert api_gateway_client.delete_widget(gone).status_code == 204
        assert at_rest(postgres_cursor, orb_core_client) == 3
        native = {item["id"]: item["revision"] for item in orb_core_client.objects().json()}
        new = created.json()["id"]
        assert native == {kept: 1, changed: 2, new: 1}
        expected = {kept: ["1", "active"], changed: ["2", "active"], gone: ["2", "gone"], new: ["1", "active"]}

        def cached():
            return {wid: (redis_client.get(f"widget:{wid}") or "").split(" ")[:3:2] for wid in expected}

        wait_for(lambda: cached() == expected, what="the cache has the last states", within_s=SOON_S)

    def test_a_bulk_creation_is_whole_or_absent(self, lab, api_gateway_client, clean_database, postgres_cursor):
        """The reply to a bulk creation is lost: there are all fifty rows or none, and the repeat makes it fifty."""
        key, bodies = new_key(), [{"name": "bulk"}] * 50
        with broken(lab, HalfOpen(), POSTGRES):
            assert_graceful(api_gateway_client.create_widgets(bodies, key=key))
        assert count(postgres_cursor, "SELECT count(*) FROM widgets") in {0, 50}
        wait_for(
            lambda: api_gateway_client.create_widgets(bodies, key=key).status_code == 201,
            what="the repeat succeeds",
            within_s=SOON_S,
            every_s=0.05,
        )
        assert count(postgres_cursor, "SELECT count(*) FROM widgets") == 50


def _if_status(status, response):
    return response if response.status_code == status else None


def _outcome(send):
    """Status and id of what was answered, None where there is nothing."""
    try:
        answer = send()
    except requests.RequestException:
        return None, None
    return answer.status_code, answer.json().get("id")


def _again(client, name):
    """Send an acknowledged creation once more, as a client does that lost the answer; what it was answered."""
    status, wid = _outcome(lambda: client.create_widget({"name": name}, key=name))
    return {name: wid} if status == 201 else {}
