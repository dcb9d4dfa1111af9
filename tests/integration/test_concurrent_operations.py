"""Integration tests: many at once.

Twenty threads that begin at the same moment. Each test names the planted defects that make it red;
``pytest tests/integration --planted`` proves it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any

import pytest

from chaos.clock import wait_for
from chaos.errors import LabError
from services import plants
from services.client import ApiGatewayClient, new_key
from services.security.audit import AuditRecord, first_broken
from services.security.sql import AUDIT_LOG
from tests.integration.support.cleaning import at_rest
from tests.integration.support.metrics import metric
from tests.integration.support.patience import BUSY, PATIENT_S, all_made, decided, eventually, made
from tests.integration.support.performance import percentile
from tests.integration.support.together import THREADS, all_together, together

SOON_S = 5.0
TURNS = 6  # a race that comes out well once proves little
DEADLINE_S = 1.0
SLACK_S = 1.0  # for twenty threads of one Python on a busy machine
JOINED = "cache_singleflight_joined_total"
planted = pytest.mark.planted


def statuses(answers):
    """How often each status was answered."""
    return Counter(answer.status_code for answer in answers)


@pytest.fixture
def widget_id(api_gateway_client: ApiGatewayClient, sample_widget_data: dict[str, Any], clean_database: None) -> str:
    """The id of the only widget there is, at version 1."""
    return made(api_gateway_client, sample_widget_data)["id"]


@contextmanager
def locked(platform, statement, values=()):
    """Hold the locks of *statement* in a transaction of our own; the block gets the connection."""
    connection = platform.connect()
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
        yield connection
    finally:
        connection.close()


def replayed(original, answers):
    """The widget that *answers* (patch, response) lead to when they are applied in the order of their versions.

    Fails when one of them does not continue the state that the version before it left.
    """
    state = original
    for patch, answer in sorted(answers, key=lambda pair: pair[1].json()["version"]):
        found = answer.json()
        expected = {**state, **patch, "version": state["version"] + 1, "updated_at": found["updated_at"]}
        assert found == expected, "an update was lost: this version does not continue the one before"
        state = found
    return state


def update_once(client, widget_id, patch):
    """Update a widget at whatever version it has; the answer."""
    answer = decided(lambda key: client.update_widget(widget_id, patch, key=key))
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture(autouse=True)
def _well_afterwards(steady: Callable[[], None]) -> Iterator[None]:
    """A crowd may open breakers: the next test finds them closed."""
    yield
    steady()


class TestConcurrentWidgetCreation:
    """Creations do not get in each other's way."""

    @planted(plants.COARSE_IDS)
    def test_concurrent_creations_do_not_conflict(
        self, api_gateway_client, clean_database, postgres_cursor, orb_core_client
    ):
        """Twenty creations at once are twenty widgets, each with its own row and native object."""
        answers = together(
            lambda number: decided(lambda key: api_gateway_client.create_widget({"name": f"w{number}"}, key=key))
        )
        assert statuses(answers) == {201: THREADS}
        postgres_cursor.execute("SELECT id::text, name FROM widgets")
        found = {answer.json()["id"]: answer.json()["name"] for answer in answers}
        assert dict(postgres_cursor.fetchall()) == found
        assert set(found.values()) == {f"w{number}" for number in range(THREADS)}
        assert at_rest(postgres_cursor, orb_core_client) == THREADS

    @planted("widget-core.idempotency")
    def test_one_key_from_many_threads_creates_one_widget(
        self, api_gateway_client, sample_widget_data, clean_database, postgres_cursor
    ):
        """Twenty creations under one key give twenty equal answers and one row."""
        shared = new_key()
        answers = together(
            lambda _: decided(lambda _: api_gateway_client.create_widget(sample_widget_data, key=shared))
        )
        assert statuses(answers) == {201: THREADS}
        assert len({answer.json()["id"] for answer in answers}) == 1
        postgres_cursor.execute("SELECT count(*) FROM widgets")
        assert postgres_cursor.fetchone() == (1,)

    @planted(plants.ONE_BY_ONE)
    def test_nobody_sees_half_a_batch(self, platform, api_gateway_client, clean_database, postgres_cursor):
        """Twenty bulk creations of ten, and ten who look meanwhile: every look counts whole batches only."""
        under_way = set(range(THREADS))

        def create(number):
            try:
                return api_gateway_client.create_widgets([{"name": f"batch {number}"}] * 10)
            finally:
                under_way.discard(number)

        def look():
            seen = set()
            with closing(platform.connect()) as connection, connection.cursor() as cursor:
                while under_way:
                    seen |= _sizes(cursor)
            return seen

        found = all_together([*[partial(create, number) for number in range(THREADS)], *[look] * 10])
        answers, seen = found[:THREADS], set().union(*found[THREADS:])
        assert set(statuses(answers)) <= {201, 503}
        assert statuses(answers)[201]
        assert seen | _sizes(postgres_cursor) == {10}, f"readers saw batches of {seen}"

    @planted(plants.LOOK_THEN_REGISTER)
    def test_one_address_is_registered_once(
        self, security_service_client, sample_user_data, clean_database, postgres_cursor
    ):
        """Of twenty who register the same address at once one succeeds, and his password works; some may be shed.

        Where nobody is told that he has succeeded, somebody is told that it is unknown.
        """
        for turn in range(TURNS):
            email = f"{turn}.{sample_user_data['email']}"
            users = [{"email": email, "password": f"long enough {number}"} for number in range(THREADS)]
            answers = all_together([partial(security_service_client.register_user, user) for user in users])
            assert set(statuses(answers)) <= {201, 409, 503}
            winners = [user for user, answer in zip(users, answers, strict=True) if answer.status_code == 201]
            assert len(winners) <= 1
            if winners:
                assert decided(lambda _, user=winners[0]: security_service_client.login(user), BUSY).status_code == 200
            else:
                assert [found for found in answers if found.status_code == 503 and found.json()["outcome"] == "unknown"]
            postgres_cursor.execute("SELECT count(*) FROM users WHERE email = %s", [email])
            assert postgres_cursor.fetchone() == (1,)


class TestConcurrentUpdates:
    """No update is lost."""

    @planted("widget-core.if_match", plants.READ_THEN_WRITE)
    def test_concurrent_updates_to_same_widget(
        self, api_gateway_client, authenticated_token, clean_database, postgres_cursor
    ):
        """Twenty threads each add one to a counter in the widget; who collides tries again; it ends at twenty."""
        wid = made(api_gateway_client, {"name": "counter", "payload": {"n": 0}})["id"]

        def add_one():
            seen = decided(lambda _: api_gateway_client.get_widget(wid))
            wanted = {"name": "counter", "payload": {"n": seen.json()["payload"]["n"] + 1}}
            etag = seen.headers["ETag"]
            answer = decided(lambda key: api_gateway_client.replace_widget(wid, wanted, match=etag, key=key))
            assert answer.status_code in {200, 412}, answer.text
            return answer.status_code == 200

        together(lambda _: wait_for(add_one, what="one is added", within_s=PATIENT_S))
        postgres_cursor.execute("SELECT (payload->>'n')::int, version FROM widgets WHERE id = %s", [wid])
        assert postgres_cursor.fetchone() == (THREADS, THREADS + 1)

    @planted("widget-core.if_match")
    def test_one_of_many_writers_wins(self, api_gateway_client, widget_id, postgres_cursor):
        """Of twenty replacements of version 1 one succeeds, nineteen are 412, and the row is the winner's."""
        answers = together(
            lambda number: decided(
                lambda key: api_gateway_client.replace_widget(widget_id, {"name": f"writer {number}"}, match=1, key=key)
            )
        )
        assert statuses(answers) == {200: 1, 412: THREADS - 1}
        winner = next(answer.json()["name"] for answer in answers if answer.status_code == 200)
        postgres_cursor.execute("SELECT name, version FROM widgets WHERE id = %s", [widget_id])
        assert postgres_cursor.fetchone() == (winner, 2)

    @planted(plants.READ_THEN_WRITE)
    def test_updates_of_different_members_all_survive(self, api_gateway_client, widget_id, postgres_cursor):
        """Ten change the name and ten the description: in the order of the versions each continues the one before."""
        original = api_gateway_client.get_widget(widget_id).json()
        patches = [{("name", "description")[number % 2]: f"by {number}"} for number in range(THREADS)]
        answers = together(lambda number: update_once(api_gateway_client, widget_id, patches[number]))
        final = replayed(original, zip(patches, answers, strict=True))
        postgres_cursor.execute("SELECT name, description, version FROM widgets WHERE id = %s", [widget_id])
        assert postgres_cursor.fetchone() == (final["name"], final["description"], THREADS + 1)

    @planted("widget-core.idempotency")
    def test_the_same_update_sent_by_many_counts_once(self, api_gateway_client, widget_id, postgres_cursor):
        """Twenty updates under one key are one change: the same answer for all, and version 2."""
        shared = new_key()
        answers = together(
            lambda _: decided(lambda _: api_gateway_client.update_widget(widget_id, {"name": "once"}, key=shared))
        )
        assert statuses(answers) == {200: THREADS}
        assert {answer.json()["version"] for answer in answers} == {2}
        postgres_cursor.execute("SELECT name, version FROM widgets WHERE id = %s", [widget_id])
        assert postgres_cursor.fetchone() == ("once", 2)


class TestConcurrentDeletes:
    """Deleting is idempotent for everybody."""

    @planted(plants.LOOK_THEN_DELETE)
    def test_concurrent_deletes_are_idempotent(self, api_gateway_client, widget_id, postgres_cursor, orb_core_client):
        """Twenty deletions at once are all 204, and the native object is released exactly once."""
        before = orb_core_client.memory().json()["deallocations"]
        answers = together(lambda _: decided(lambda key: api_gateway_client.delete_widget(widget_id, key=key)))
        assert statuses(answers) == {204: THREADS}
        assert at_rest(postgres_cursor, orb_core_client) == 0
        assert orb_core_client.memory().json()["deallocations"] == before + 1

    @planted("widget-core.if_match")
    def test_a_deletion_and_updates_decide_one_way(self, api_gateway_client, clean_database, postgres_cursor):
        """Five delete version 1 and fifteen update it: either it is gone unchanged, or it lives with one update."""
        for _ in range(12):
            wid = made(api_gateway_client, {"name": "contested"})["id"]
            update = partial(decided, partial(_update_first, api_gateway_client, wid))
            delete = partial(decided, partial(_delete_first, api_gateway_client, wid))
            updates = all_together([update, delete, update, update] * (THREADS // 4))
            deletes = updates[1::4]
            del updates[1::4]
            outcome = statuses(updates), statuses(deletes)
            postgres_cursor.execute("SELECT version FROM widgets WHERE id = %s", [wid])
            if postgres_cursor.fetchone():
                assert outcome == ({200: 1, 412: len(updates) - 1}, {412: len(deletes)})
            else:
                assert outcome == ({404: len(updates)}, {204: len(deletes)})

    @planted(f"widget-core.cache.versioned + {plants.LATE_PUT}")
    def test_a_deleted_widget_does_not_come_back(self, api_gateway_client, clean_database, redis_client):
        """Nineteen readers find the cache empty while one deletes: afterwards nobody is shown the widget again."""
        for _ in range(8):
            wid = made(api_gateway_client, {"name": "short-lived"})["id"]
            redis_client.delete(f"widget:{wid}")
            readers = [lambda wid=wid: api_gateway_client.get_widget(wid)] * (THREADS - 1)
            delete = partial(decided, lambda key, wid=wid: api_gateway_client.delete_widget(wid, key=key))
            answers = all_together([*readers, delete])
            assert answers[-1].status_code == 204
            assert decided(lambda _, wid=wid: api_gateway_client.get_widget(wid)).status_code == 404
            # A tombstone that Redis did not take in time is owed, and put soon afterwards.
            cached = partial(redis_client.get, f"widget:{wid}")
            assert eventually(lambda cached=cached: (cached() or "2 0 gone").split(" ")[2] == "gone", SOON_S)


class TestRaceConditions:
    """What looks right one at a time is right at once, too."""

    @pytest.mark.security
    @planted("security.refresh.reuse_detection")
    def test_a_refresh_token_is_exchanged_once(self, security_service_client, sample_user_data, postgres_cursor):
        """Of twenty who come with the same refresh token at most one gets a pair, and the family is revoked."""
        user = security_service_client.register_user(sample_user_data).json()
        pair = security_service_client.login(sample_user_data).json()
        token = pair["refresh_token"]
        answers = together(lambda _: decided(lambda _: security_service_client.refresh(token), frozenset({503})))
        assert set(statuses(answers)) <= {200, 401}
        assert statuses(answers)[200] <= 1
        postgres_cursor.execute(
            "SELECT count(*) FROM refresh_tokens WHERE user_id = %s AND revoked_at IS NULL", [user["id"]]
        )
        assert postgres_cursor.fetchone() == (0,)

    @pytest.mark.security
    @planted(plants.COUNT_AS_SEEN)
    def test_every_wrong_password_counts(self, security_service_client, sample_user_data, postgres_cursor):
        """Twenty wrong passwords at once lock the account: each that is on record as wrong is counted, none is lost."""
        for turn in range(TURNS):
            right = sample_user_data | {"email": f"{turn}.{sample_user_data['email']}"}
            user = security_service_client.register_user(right).json()
            wrong = partial(security_service_client.login, right | {"password": "not the right one"})
            judged = statuses(together(lambda _, wrong=wrong: decided(lambda _: wrong(), frozenset({503}))))
            assert set(judged) <= {401, 429}
            postgres_cursor.execute(
                "SELECT failures, (SELECT count(*) FROM audit_log WHERE actor = id::text AND action = 'login-failed')"
                " FROM users WHERE id = %s",
                [user["id"]],
            )
            failures, recorded = postgres_cursor.fetchone()
            assert recorded >= max(5, judged[401])
            assert failures == recorded % 5
            login = partial(security_service_client.login, right)
            assert decided(lambda _, login=login: login(), frozenset({503})).status_code == 429

    @pytest.mark.security
    @planted("security.audit.same_tx")
    def test_every_login_of_a_crowd_is_on_record(
        self, security_service_client, sample_user_data, clean_database, postgres_cursor
    ):
        """Each login of twenty at once leaves its record, and the chain of digests is whole; some may be shed."""
        user = security_service_client.register_user(sample_user_data).json()
        answers = together(lambda _: security_service_client.login(sample_user_data))
        seen = statuses(answers)
        assert set(seen) <= {200, 503}
        assert seen[200]
        postgres_cursor.execute("SELECT count(*) FROM audit_log WHERE actor = %s AND action = 'login'", [user["id"]])
        assert seen[200] <= postgres_cursor.fetchone()[0] <= THREADS
        postgres_cursor.execute(AUDIT_LOG)
        names = AuditRecord.__dataclass_fields__
        records = [AuditRecord(**dict(zip(names, line, strict=True))) for line in postgres_cursor.fetchall()]
        assert first_broken(AuditRecord(**_with_bytes(record)) for record in records) is None

    @planted("widget-core.cache.singleflight")
    def test_a_herd_of_readers_is_one_query(
        self, platform, widget_core_client, widget_id, redis_client, postgres_cursor
    ):
        """Twenty readers of a widget that the cache has lost: there is never more than one query, the others join it.

        Whoever comes when that query has given up waiting for the lock begins the next one.
        """
        before = metric(widget_core_client, JOINED)
        waiting = []
        redis_client.delete(f"widget:{widget_id}")
        with locked(platform, "LOCK TABLE widgets IN ACCESS EXCLUSIVE MODE") as blocker, ThreadPoolExecutor(1) as pool:
            herd = pool.submit(together, lambda _: widget_core_client.get_widget(widget_id))

            def most_have_joined():
                waiting.append(_waiting_for_locks(postgres_cursor, "%FROM widgets w WHERE w.id%"))
                joined = metric(widget_core_client, JOINED) - before
                return (joined >= THREADS // 2 and any(waiting)) or herd.done()

            wait_for(most_have_joined, what="most readers have joined", within_s=SOON_S)
            blocker.rollback()
            assert set(statuses(herd.result(SOON_S))) <= {200, 409, 503}  # they waited for longer than a lock may take
        assert metric(widget_core_client, JOINED) - before >= THREADS // 2
        assert max(waiting) == 1

    @planted(f"widget-core.cache.versioned + {plants.LATE_PUT}")
    def test_no_reader_is_shown_less_than_was_acknowledged(self, api_gateway_client, widget_id, postgres_cursor):
        """While ten threads update, ten read: each read is at least what was acknowledged when it began."""
        acknowledged = [1]
        shown = []

        def write():
            for _ in range(6):
                answer = decided(lambda key: api_gateway_client.update_widget(widget_id, {"name": key}, key=key))
                assert answer.status_code == 200, answer.text
                acknowledged.append(answer.json()["version"])

        def read():
            for _ in range(20):
                least = max(acknowledged)
                answer = decided(lambda _: api_gateway_client.get_widget(widget_id))
                shown.append((answer.json()["version"], least))

        all_together([write, read] * (THREADS // 2))
        assert len(shown) == 20 * (THREADS // 2)
        wrong = [(version, least) for version, least in shown if version < least]
        assert not wrong, f"shown and acknowledged versions: {wrong}"
        postgres_cursor.execute("SELECT version FROM widgets WHERE id = %s", [widget_id])
        assert postgres_cursor.fetchone() == (max(acknowledged),) == (1 + 6 * (THREADS // 2),)


@pytest.mark.performance
class TestConcurrentOperationPerformance:
    """Throughput and latency under load."""

    @planted("widget-core.cache")
    def test_hot_reads_are_served_by_the_cache(self, api_gateway_client, widget_core_client, widget_id, calm):
        """Two hundred reads by twenty threads all succeed, nearly all within a second, and next to none asks Postgres.

        It is looked at again when Redis did not answer in its 50 ms: then reads go to Postgres, as they should.
        """

        def read_much():
            before = metric(widget_core_client, "resilience_attempts_total", edge="widget-core.postgres")
            read = partial(_timed, partial(api_gateway_client.get_widget, widget_id))
            timed = [one for ten in together(lambda _: [read() for _ in range(10)]) for one in ten]
            after = metric(widget_core_client, "resilience_attempts_total", edge="widget-core.postgres")
            assert statuses(answer for answer, _ in timed) == {200: 10 * THREADS}
            assert percentile([seconds for _, seconds in timed], 0.99) < 1.0
            assert after - before <= 5, f"{after - before} statements for 200 reads of one widget"

        calm(read_much)

    @planted(plants.BOTTLENECK)
    def test_concurrent_creation_latency(self, api_gateway_client, clean_database, postgres_cursor):
        """Forty creations by twenty threads: nine of ten are acknowledged in under a second, and forty rows are made.

        Somebody may be told to come again; what he is told of the outcome is so.
        """
        answers = []

        def send(name, key):
            answers.append((name, api_gateway_client.create_widget({"name": name}, key=key)))
            return answers[-1][1]

        def acknowledged(request):
            with suppress(LabError):
                return decided(request)
            return None  # for as long as anybody has patience

        def create(number):
            return [_timed(partial(acknowledged, partial(send, f"w{number} {turn}"))) for turn in "ab"]

        timed = [one for pair in together(create) for one in pair]
        assert None not in [answer for answer, _ in timed]
        assert statuses(answer for answer, _ in timed) == {201: 2 * THREADS}
        assert percentile([seconds for _, seconds in timed], 0.9) < 1.0
        refused = [answer for _, answer in answers if answer.status_code != 201]
        assert all((answer.status_code, "Retry-After" in answer.headers) == (503, True) for answer in refused)
        assert {answer.json()["outcome"] for answer in refused} <= {"not-done", "unknown"}
        postgres_cursor.execute("SELECT id::text FROM widgets")
        assert {wid for (wid,) in postgres_cursor.fetchall()} == {answer.json()["id"] for answer, _ in timed}

    @planted(plants.COARSE_IDS)
    def test_a_creation_that_was_refused_was_not_done(
        self, api_gateway_client, clean_database, postgres_cursor, orb_core_client
    ):
        """A hundred creations at once without keys: a row for each 201, none for "not-done", one at most if unknown."""
        answers = together(lambda number: api_gateway_client.create_widget({"name": f"w{number}"}), 100)
        assert set(statuses(answers)) <= {201, 503}
        assert statuses(answers)[201]
        at_rest(postgres_cursor, orb_core_client)
        postgres_cursor.execute("SELECT name, count(*) FROM widgets GROUP BY name")
        rows = dict(postgres_cursor.fetchall())
        told = [(answer.json().get("outcome", "done"), rows.get(f"w{n}", 0)) for n, answer in enumerate(answers)]
        assert set(told) <= {("done", 1), ("not-done", 0), ("unknown", 0), ("unknown", 1)}


class TestLockContention:
    """A lock that somebody holds costs those who need it a quick refusal, and nobody else anything."""

    @planted("widget-core.postgres.lock_timeout")
    def test_a_held_row_lock_is_answered_soon(self, platform, api_gateway_client, widget_id, postgres_cursor):
        """Twenty updates of a row that somebody holds: refused soon, some as 409; none is applied but the doubtful."""
        with locked(platform, "SELECT 1 FROM widgets WHERE id = %s FOR UPDATE", [widget_id]):
            timed = together(
                lambda _: _timed(
                    lambda: api_gateway_client.update_widget(widget_id, {"name": "blocked"}, key=new_key())
                )
            )
        assert set(statuses(answer for answer, _ in timed)) <= {409, 503}
        assert statuses(answer for answer, _ in timed)[409]
        assert max(seconds for _, seconds in timed) < DEADLINE_S + SLACK_S
        doubtful = sum(answer.json()["outcome"] != "not-done" for answer, _ in timed)
        postgres_cursor.execute("SELECT version FROM widgets WHERE id = %s", [widget_id])
        assert 1 <= postgres_cursor.fetchone()[0] <= 1 + doubtful

    @planted(plants.TABLE_LOCK)
    def test_a_held_row_lock_stops_nobody_else(self, platform, api_gateway_client, widget_id, postgres_cursor):
        """Four wait for the row that is held, sixteen update rows of their own: those sixteen succeed."""
        others = [widget["id"] for widget in all_made(api_gateway_client, [{"name": "other"}] * (THREADS - 4))]
        blocked = [partial(_rename, api_gateway_client, widget_id, "blocked", new_key()) for _ in range(4)]
        free = [partial(_status_soon, partial(_rename, api_gateway_client, wid, "free")) for wid in others]
        with locked(platform, "SELECT 1 FROM widgets WHERE id = %s FOR UPDATE", [widget_id]):
            answers = all_together([*blocked, *free])
        assert answers[4:] == [200] * len(free)
        assert set(statuses(answers[:4])) <= {409, 503}
        postgres_cursor.execute("SELECT count(*) FROM widgets WHERE name = 'free' AND version = 2")
        assert postgres_cursor.fetchone() == (THREADS - 4,)

    @planted(plants.READ_THEN_WRITE)
    def test_waiters_go_on_one_after_the_other(self, platform, api_gateway_client, widget_id, postgres_cursor):
        """Updates that queue for a row lock, or come again, are applied in turn: none overwrites another."""
        original = api_gateway_client.get_widget(widget_id).json()
        patches = [{("name", "description")[number % 2]: f"by {number}"} for number in range(THREADS)]
        with (
            locked(platform, "SELECT 1 FROM widgets WHERE id = %s FOR UPDATE", [widget_id]) as blocker,
            ThreadPoolExecutor(1) as pool,
        ):
            queue = pool.submit(together, lambda number: update_once(api_gateway_client, widget_id, patches[number]))
            wait_for(
                lambda: _waiting_for_locks(postgres_cursor, "%UPDATE widgets%") >= 2,
                what="updates wait",
                within_s=SOON_S,
                every_s=0.002,
            )
            blocker.rollback()
            answers = queue.result(2 * PATIENT_S)
        final = replayed(original, zip(patches, answers, strict=True))
        postgres_cursor.execute("SELECT name, description, version FROM widgets WHERE id = %s", [widget_id])
        assert postgres_cursor.fetchone() == (final["name"], final["description"], THREADS + 1)


def _update_first(client, widget_id, key):
    return client.update_widget(widget_id, {"name": "changed"}, match=1, key=key)


def _delete_first(client, widget_id, key):
    return client.delete_widget(widget_id, match=1, key=key)


def _with_bytes(record):
    return {
        **{name: getattr(record, name) for name in AuditRecord.__dataclass_fields__},
        "digest": bytes(record.digest),
    }


def _waiting_for_locks(cursor, query):
    """How many statements like *query* wait for a lock in this database."""
    cursor.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE %s",
        [query],
    )
    return cursor.fetchone()[0]


def _sizes(cursor):
    """The numbers of widgets that share a name."""
    cursor.execute("SELECT DISTINCT count(*) FROM widgets GROUP BY name")
    return {size for (size,) in cursor.fetchall()}


def _rename(client, widget_id, name, key):
    return client.update_widget(widget_id, {"name": name}, key=key)


def _status_soon(send):
    """The status of a request that is decided soon, None when it is not: it was stopped by somebody."""
    try:
        return decided(send, within_s=SOON_S).status_code
    except LabError:
        return None


def _timed(work):
    began = time.perf_counter()
    return work(), time.perf_counter() - began
