"""Integration tests: the life of a widget.

Through the gateway, Widget Core, Postgres, Redis and ORB Core; asserted in the stores as well as in the answer.
"""

import uuid

import pytest

from chaos.clock import wait_for
from services.client import new_key
from tests.integration.support.cleaning import at_rest
from tests.integration.support.patience import made
from tests.integration.support.performance import TARGETS

SOON_S = 5.0


def stored(cursor, widget_id):
    """Name, description, state and version of the row, None when there is none."""
    cursor.execute("SELECT name, description, state, version FROM widgets WHERE id = %s", [widget_id])
    return cursor.fetchone()


def cached(redis_client, widget_id):
    """Version and state of the cached widget ("gone" for a tombstone), None when nothing is cached."""
    value = redis_client.get(f"widget:{widget_id}")
    if value is None:
        return None
    version, _, state, _ = value.split(" ", 3)
    return int(version), state


class TestWidgetCreateWorkflow:
    """Creating spans every service and every store."""

    def test_create_widget_via_api_gateway(
        self,
        api_gateway_client,
        sample_widget_data,
        authenticated_token,
        clean_database,
        clean_redis,
        postgres_cursor,
        redis_client,
        calm,
    ):
        """A created widget is stored, cached, held by ORB Core, and can be read again."""
        name, description, payload = (sample_widget_data[member] for member in ("name", "description", "payload"))

        def create_and_read():
            response = api_gateway_client.create_widget(sample_widget_data, token=authenticated_token)
            assert response.status_code == 201, f"Expected 201, got {response.status_code}: {response.text}"
            widget = response.json()
            assert response.headers["Location"] == f"/api/v1/widgets/{widget['id']}"
            assert stored(postgres_cursor, widget["id"]) == (name, description, "active", 1)
            assert cached(redis_client, widget["id"]) == (1, "active")
            assert api_gateway_client.get_native(widget["id"]).json()["payload"] == payload
            read = api_gateway_client.get_widget(widget["id"])
            assert (read.status_code, read.json(), read.headers["X-Cache"]) == (200, widget, "hit")

        calm(create_and_read)

    @pytest.mark.parametrize(
        "invalid", [{}, {"name": ""}, {"name": "x" * 101}, {"name": 7}, {"name": "a", "colour": "green"}]
    )
    def test_create_widget_with_invalid_data(self, api_gateway_client, clean_database, postgres_cursor, invalid):
        """Whatever is wrong with the body: 400 as a problem document, and no row."""
        response = api_gateway_client.create_widget(invalid)
        assert response.status_code == 400, response.text
        assert response.headers["Content-Type"] == "application/problem+json"
        postgres_cursor.execute("SELECT count(*) FROM widgets")
        assert postgres_cursor.fetchone() == (0,)

    def test_the_same_key_creates_one_widget(self, api_gateway_client, sample_widget_data, postgres_cursor):
        """A repeat replays the first answer, another body under the key is refused, and there is one row."""
        key = new_key()
        first, again = (api_gateway_client.create_widget(sample_widget_data, key=key) for _ in range(2))
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["Idempotent-Replay"] == "true"
        assert api_gateway_client.create_widget({"name": "other"}, key=key).status_code == 422
        postgres_cursor.execute("SELECT id::text FROM widgets WHERE name = %s", [sample_widget_data["name"]])
        assert postgres_cursor.fetchall() == [(first.json()["id"],)]

    def test_bulk_creation_is_all_or_nothing(
        self, api_gateway_client, clean_database, postgres_cursor, orb_core_client
    ):
        """One bad widget among good ones leaves no row; good ones alone all become active, with native objects."""
        good = [{"name": f"bulk {number}"} for number in range(10)]
        assert api_gateway_client.create_widgets([*good, {"name": ""}]).status_code == 400
        postgres_cursor.execute("SELECT count(*) FROM widgets")
        assert postgres_cursor.fetchone() == (0,)
        made = api_gateway_client.create_widgets(good)
        assert made.status_code == 201, made.text
        assert [widget["name"] for widget in made.json()["widgets"]] == [widget["name"] for widget in good]
        assert at_rest(postgres_cursor, orb_core_client) == 10


class TestWidgetUpdateWorkflow:
    """Nobody overwrites what he has not seen."""

    def test_update_widget_workflow(
        self,
        api_gateway_client,
        sample_widget_data,
        clean_redis,
        postgres_cursor,
        redis_client,
        calm,
    ):
        """A replacement reaches the row, the cache, the native object and the next reader, each at version 2."""

        def replace_and_read():
            wid = made(api_gateway_client, sample_widget_data)["id"]
            response = api_gateway_client.replace_widget(wid, {"name": "dial", "payload": {"n": 2}}, match=1)
            assert (response.status_code, response.headers["ETag"]) == (200, '"2"'), response.text
            assert stored(postgres_cursor, wid) == ("dial", "", "active", 2)
            assert cached(redis_client, wid) == (2, "active")
            assert api_gateway_client.get_widget(wid).json()["name"] == "dial"
            wait_for(
                lambda: api_gateway_client.get_native(wid).json()["payload"] == {"n": 2},
                what="ORB Core has the new payload",
                within_s=SOON_S,
            )

        calm(replace_and_read)

    def test_a_stale_version_overwrites_nothing(self, api_gateway_client, sample_widget_data, postgres_cursor):
        """Without If-Match a replacement is 428, with a stale one 412, and the row stays at version 2."""
        wid = made(api_gateway_client, sample_widget_data)["id"]
        assert api_gateway_client.update_widget(wid, {"name": "mine"}, match=1).status_code == 200
        assert api_gateway_client.replace_widget(wid, {"name": "lost"}, match=None).status_code == 428
        assert api_gateway_client.replace_widget(wid, {"name": "lost"}, match=1).status_code == 412
        assert api_gateway_client.update_widget(wid, {"name": "lost"}, match=1).status_code == 412
        assert stored(postgres_cursor, wid)[::3] == ("mine", 2)

    def test_a_partial_update_leaves_the_other_members(self, api_gateway_client, sample_widget_data, postgres_cursor):
        """PATCH changes what it names; a repeat under the same key changes nothing more."""
        wid = made(api_gateway_client, sample_widget_data)["id"]
        key = new_key()
        answers = [api_gateway_client.update_widget(wid, {"description": "left"}, key=key).json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert stored(postgres_cursor, wid) == (sample_widget_data["name"], "left", "active", 2)
        assert api_gateway_client.get_widget(wid).json()["payload"] == sample_widget_data["payload"]


class TestWidgetDeleteWorkflow:
    """Deleted is deleted, everywhere and for good."""

    def test_delete_widget_workflow(
        self,
        api_gateway_client,
        sample_widget_data,
        clean_database,
        postgres_cursor,
        redis_client,
        orb_core_client,
    ):
        """The row is gone, the cache holds a tombstone, ORB Core released the object, and readers get 404."""
        wid = made(api_gateway_client, sample_widget_data)["id"]
        response = api_gateway_client.delete_widget(wid)
        assert response.status_code == 204, response.text
        assert stored(postgres_cursor, wid) is None
        wait_for(lambda: cached(redis_client, wid) == (2, "gone"), what="there is a tombstone", within_s=SOON_S)
        assert api_gateway_client.get_widget(wid).status_code == 404
        assert at_rest(postgres_cursor, orb_core_client) == 0
        assert wid not in {native["id"] for native in orb_core_client.objects().json()}

    def test_deleting_again_is_fine(self, api_gateway_client, sample_widget_data, postgres_cursor):
        """The second delete is 204 as well, and so is that of a widget that never was; a stale one is 412."""
        wid = made(api_gateway_client, sample_widget_data)["id"]
        assert api_gateway_client.delete_widget(wid, match=7).status_code == 412
        assert stored(postgres_cursor, wid) is not None
        assert [api_gateway_client.delete_widget(wid).status_code for _ in range(2)] == [204, 204]
        assert api_gateway_client.delete_widget(str(uuid.uuid4())).status_code == 204


@pytest.mark.performance
class TestWidgetPerformance:
    """Each operation stays within its target."""

    def test_widget_creation_performance(self, api_gateway_client, sample_widget_data, performance_tracker):
        """Twenty creations one after the other: nineteen of them take less than a second each."""
        for number in range(20):
            with performance_tracker.measure("Widget Creation"):
                response = api_gateway_client.create_widget(sample_widget_data | {"name": f"w{number}"}, key=new_key())
            assert response.status_code == 201, response.text
        assert performance_tracker.percentile("Widget Creation", 0.95) < TARGETS["Widget Creation"]

    def test_update_and_delete_performance(self, api_gateway_client, sample_widget_data, performance_tracker):
        """Twenty updates and twenty deletions: nineteen of each take less than half a second each."""
        made = api_gateway_client.create_widgets([sample_widget_data] * 20, key=new_key())
        for wid in [widget["id"] for widget in made.json()["widgets"]]:
            with performance_tracker.measure("Widget Update"):
                answer = api_gateway_client.update_widget(wid, {"name": "dial"}, key=new_key())
            assert answer.status_code == 200, answer.text
            with performance_tracker.measure("Widget Delete"):
                answer = api_gateway_client.delete_widget(wid, key=new_key())
            assert answer.status_code == 204, answer.text
        for operation in ("Widget Update", "Widget Delete"):
            assert performance_tracker.percentile(operation, 0.95) < TARGETS[operation]

    def test_bulk_widget_creation_performance(
        self, api_gateway_client, clean_database, postgres_cursor, orb_core_client, performance_tracker
    ):
        """A hundred widgets in one request are made, and all of them active, in less than ten seconds."""
        bodies = [{"name": f"bulk {number}"} for number in range(100)]
        performance_tracker.start()
        with performance_tracker.measure("Bulk Operations (100x)"):
            response = api_gateway_client.create_widgets(bodies, key=new_key())
        assert response.status_code == 201, response.text
        assert at_rest(postgres_cursor, orb_core_client) == 100
        performance_tracker.stop()
        performance_tracker.assert_duration_under(TARGETS["Bulk Operations (100x)"], "Bulk creation")


class TestCacheConsistency:
    """What readers are shown is never older than what was acknowledged."""

    def test_readers_see_every_acknowledged_update(self, api_gateway_client, sample_widget_data, redis_client, calm):
        """After each of ten updates the next read shows it, from the cache, which holds the same version."""
        wid = made(api_gateway_client, sample_widget_data)["id"]

        def update_and_read():
            version = api_gateway_client.update_widget(wid, {"name": new_key()}).json()["version"]
            read = api_gateway_client.get_widget(wid)
            assert (read.json()["version"], read.headers["X-Cache"]) == (version, "hit")
            assert cached(redis_client, wid) == (version, "active")

        for _ in range(10):
            calm(update_and_read)

    def test_a_lost_cache_entry_is_refilled_from_the_record(
        self, api_gateway_client, sample_widget_data, redis_client, calm
    ):
        """Without its entry a read is a miss that puts it back; the one after is a hit."""
        wid = made(api_gateway_client, sample_widget_data)["id"]

        def lose_and_read():
            redis_client.delete(f"widget:{wid}")
            reads = [api_gateway_client.get_widget(wid) for _ in range(2)]
            assert [read.headers["X-Cache"] for read in reads] == ["miss", "hit"]
            assert cached(redis_client, wid) == (1, "active")

        calm(lose_and_read)

    def test_an_older_cache_entry_is_not_believed(self, api_gateway_client, sample_widget_data, redis_client, calm):
        """A cache set back to version 1 is noticed: the reader is shown version 2 from the record."""

        def set_back_and_read():
            wid = made(api_gateway_client, sample_widget_data)["id"]
            old = redis_client.get(f"widget:{wid}")
            assert old, "a new widget is cached"
            assert api_gateway_client.update_widget(wid, {"name": "new"}).status_code == 200
            redis_client.set(f"widget:{wid}", old)
            read = api_gateway_client.get_widget(wid)
            assert (read.json()["name"], read.headers["X-Cache"]) == ("new", "miss")
            assert cached(redis_client, wid) == (2, "active")

        calm(set_back_and_read)
