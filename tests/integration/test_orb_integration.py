"""Integration tests: Widget Core and ORB Core over CORBA (IIOP).

What is out of reach is not claimed: the ORB's transport buffers, and the copies that Python makes of a payload
on its way in. The objects' own memory is looked at from outside: in /proc, and at the moment when it is given back.
"""

import json
import uuid
from functools import partial
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from chaos import Down
from chaos.clock import wait_for
from services.client import ServiceClient
from tests.integration.support import memory
from tests.integration.support.cleaning import at_rest
from tests.integration.support.faults import broken
from tests.integration.support.metrics import metric
from tests.integration.support.patience import all_made, made
from tests.integration.support.performance import TARGETS
from tests.integration.support.processes import process_behind
from tests.integration.support.stack import Platform
from tests.integration.support.together import THREADS, together

SOON_S = 5.0
DEALLOCATIONS = "polyorb_memory_deallocations_total"


@pytest.fixture
def orb_metrics(platform: Platform, http_session: requests.Session) -> ServiceClient:
    """The metrics of ORB Core, on the port of their own."""
    return ServiceClient(platform.orb_metrics, session=http_session)


def released(orb_metrics, critical):
    """How many native objects of that kind were released so far."""
    return metric(orb_metrics, DEALLOCATIONS, service="orb-core", critical=critical)


def native(orb_core_client, widget_id):
    """What ORB Core lists for a widget, None when there is nothing."""
    return next((item for item in orb_core_client.objects().json() if item["id"] == widget_id), None)


class TestORBCommunication:
    """What Widget Core records, ORB Core holds."""

    def test_a_native_object_carries_the_payload(self, widget_core_client, orb_core_client, clean_database, calm):
        """Payload, criticality and revision arrive unchanged, whatever characters they are made of."""
        payload = {"ü𐍈": ["\n", {"nested": None}], "number": 1.5}

        def create_and_look():
            wid = made(widget_core_client, {"name": "native", "payload": payload, "critical": True})["id"]
            view = widget_core_client.get_native(wid)
            assert (view.status_code, view.headers["X-Cache"]) == (200, "miss")
            assert (view.json()["payload"], view.json()["critical"], view.json()["revision"]) == (payload, True, 1)
            listed = native(orb_core_client, wid)
            assert listed, "ORB Core holds it"
            assert (listed["native_id"], listed["critical"], listed["revision"]) == (view.json()["native_id"], True, 1)

        calm(create_and_look)

    def test_updates_reach_the_native_object(self, widget_core_client, orb_core_client, sample_widget_data):
        """After three updates ORB Core holds revision 4 with the last payload."""
        wid = made(widget_core_client, sample_widget_data)["id"]
        for number in range(3):
            assert widget_core_client.update_widget(wid, {"payload": {"n": number}}).status_code == 200
        wait_for(
            lambda: (native(orb_core_client, wid) or {}).get("revision") == 4,
            what="revision 4 arrives",
            within_s=SOON_S,
        )
        wait_for(
            lambda: widget_core_client.get_native(wid).json()["payload"] == {"n": 2},
            what="its payload is shown",
            within_s=SOON_S,
        )

    def test_both_sides_agree_at_rest(self, widget_core_client, orb_core_client, clean_database, postgres_cursor):
        """After ten creations, five updates and three deletions both hold the same ids at the same revisions."""
        ids = [w["id"] for w in all_made(widget_core_client, [{"name": "w"}] * 10)]
        for wid in ids[:5]:
            assert widget_core_client.update_widget(wid, {"name": "changed"}).status_code == 200
        for wid in ids[7:]:
            assert widget_core_client.delete_widget(wid).status_code == 204
        assert at_rest(postgres_cursor, orb_core_client) == 7
        postgres_cursor.execute("SELECT id::text, version FROM widgets")
        recorded = dict(postgres_cursor.fetchall())
        assert {item["id"]: item["revision"] for item in orb_core_client.objects().json()} == recorded

    def test_an_unknown_widget_has_no_native_object(self, widget_core_client):
        """404, as a problem document that names no CORBA exception."""
        answer = widget_core_client.get_native(str(uuid.uuid4()))
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
        assert "CORBA" not in answer.text


def marked() -> tuple[dict[str, str], bytes]:
    """A payload that is nowhere else in the world, and its bytes as a native object holds them."""
    payload = {"marker": uuid.uuid4().hex}
    return payload, json.dumps(payload).encode()


def object_pages(pid: int, payload: bytes) -> list[memory.Found]:
    """Where native objects hold *payload*: at the beginning of a page and alone in it, as no copy on its way is."""
    page = payload.ljust(memory.PAGE, b"\0")
    first = (found for found in memory.find(pid, payload) if found.address % memory.PAGE == 0)
    return [found for found in first if memory.read(pid, found.address, memory.PAGE) == page]


@pytest.mark.security
class TestPhase1MemoryDeallocation:
    """Released memory is counted, and critical memory is wiped first: by the metrics and by the memory itself."""

    def test_orb_memory_deallocation_on_widget_delete(
        self, widget_core_client, http_session, platform, clean_database, orb_metrics
    ):
        """Deleting a widget releases one native object, and the counter on the metrics port says so."""
        page = http_session.get(f"{platform.orb_metrics}/metrics", timeout=5)
        assert f'{DEALLOCATIONS}{{critical="false",service="orb-core"}}' in page.text
        before = released(orb_metrics, "false"), released(orb_metrics, "true")
        wid = made(widget_core_client, {"name": "short-lived"})["id"]
        assert widget_core_client.delete_widget(wid).status_code == 204
        wait_for(lambda: released(orb_metrics, "false") == before[0] + 1, what="one is released", within_s=SOON_S)
        assert released(orb_metrics, "true") == before[1]
        seen = {name: metric(orb_metrics, f"orb_memory_{name}") for name in ("allocations_total", "live_objects")}
        total = metric(orb_metrics, DEALLOCATIONS, service="orb-core")
        assert seen["allocations_total"] - total == seen["live_objects"] == 0

    @pytest.mark.planted("orb-core.zeroize")
    def test_critical_deallocation_memory_zeroization(
        self, widget_core_client, orb_core_client, clean_database, orb_metrics
    ):
        """Three critical objects are released: three more in the counter, each read back as zero, none refused."""
        before = released(orb_metrics, "true"), metric(orb_metrics, "orb_memory_zeroized_total")
        for widget in all_made(widget_core_client, [{"name": "secret", "critical": True}] * 3):
            assert widget_core_client.delete_widget(widget["id"]).status_code == 204
        wait_for(lambda: released(orb_metrics, "true") == before[0] + 3, what="three are released", within_s=SOON_S)
        assert metric(orb_metrics, "orb_memory_zeroized_total") == before[1] + 3
        assert metric(orb_metrics, "orb_memory_zeroize_failures_total") == 0

    @pytest.mark.planted("orb-core.zeroize")
    def test_a_critical_payload_is_zero_before_its_memory_is_given_back(
        self, platform, widget_core_client, orb_core_client, clean_database, postgres_cursor
    ):
        """At the moment when the page of a critical object is unmapped each of its bytes is zero.

        Until then it held the payload, kept out of core dumps; afterwards the payload starts no page any more.
        """
        pid = process_behind(platform.orb_core).pid
        text, payload = marked()
        wid = made(widget_core_client, {"name": "secret", "critical": True, "payload": text})["id"]
        assert at_rest(postgres_cursor, orb_core_client) == 1
        blocks = object_pages(pid, payload)
        assert blocks, "the payload of the living object is in ORB Core's memory"
        assert all("dd" in block.flags for block in blocks)
        with memory.at_unmap(pid, [block.address for block in blocks]) as left:
            assert widget_core_client.delete_widget(wid).status_code == 204
        assert left == {block.address: bytes(memory.PAGE) for block in blocks}
        assert at_rest(postgres_cursor, orb_core_client) == 0
        assert not object_pages(pid, payload)

    def test_an_ordinary_payload_is_given_back_as_it_is(
        self, platform, widget_core_client, orb_core_client, clean_database, postgres_cursor
    ):
        """Nobody wipes what is not critical: it is dumped like any memory, and whole when its page is unmapped.

        This is also how we know that the test of critical objects would see a payload that was left behind.
        """
        pid = process_behind(platform.orb_core).pid
        text, payload = marked()
        wid = made(widget_core_client, {"name": "open", "payload": text})["id"]
        assert at_rest(postgres_cursor, orb_core_client) == 1
        blocks = object_pages(pid, payload)
        assert blocks, "the payload of the living object is in ORB Core's memory"
        assert not any("dd" in block.flags for block in blocks)
        with memory.at_unmap(pid, [block.address for block in blocks]) as left:
            assert widget_core_client.delete_widget(wid).status_code == 204
        assert left == {block.address: payload.ljust(memory.PAGE, b"\0") for block in blocks}
        assert at_rest(postgres_cursor, orb_core_client) == 0

    @pytest.mark.planted("orb-core.zeroize")
    def test_an_update_wipes_the_old_revision(
        self, platform, widget_core_client, orb_core_client, clean_database, postgres_cursor
    ):
        """Replacing the payload of a critical object gives the old one back as zeros; the new one is held."""
        pid = process_behind(platform.orb_core).pid
        (old_text, old), (new_text, new) = marked(), marked()
        wid = made(widget_core_client, {"name": "secret", "critical": True, "payload": old_text})["id"]
        assert at_rest(postgres_cursor, orb_core_client) == 1
        (block,) = object_pages(pid, old)
        with memory.at_unmap(pid, [block.address]) as left:
            assert widget_core_client.update_widget(wid, {"payload": new_text}).status_code == 200
        assert left == {block.address: bytes(memory.PAGE)}
        assert at_rest(postgres_cursor, orb_core_client) == 1
        assert object_pages(pid, new)
        assert not object_pages(pid, old)


class TestORBConnectionPool:
    """Few connections serve many callers."""

    def test_many_callers_share_few_connections(self, platform, widget_core_client, sample_widget_data):
        """Twenty threads that read native objects at once open at most five connections to ORB Core."""
        wid = made(widget_core_client, sample_widget_data)["id"]
        wait_for(lambda: widget_core_client.get_native(wid).ok, what="its view is known", within_s=SOON_S)
        answers = together(lambda _: [widget_core_client.get_native(wid).status_code for _ in range(5)])
        assert answers == [[200] * 5] * THREADS
        http = {urlsplit(url).port for url in (platform.orb_core, platform.orb_metrics)}
        connections = [
            connection
            for connection in process_behind(platform.orb_core).net_connections("tcp")
            if connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port not in http
        ]
        assert 1 <= len(connections) <= 5

    def test_a_connection_that_was_cut_is_opened_again(self, lab, widget_core_client, sample_widget_data):
        """Every connection is dropped for a moment: the next call gets through on a new one."""
        wid = made(widget_core_client, sample_widget_data)["id"]
        with broken(lab, Down(), "widget-core.orb-core"):
            pass
        wait_for(
            lambda: widget_core_client.get_native(wid).headers.get("X-Cache") == "miss",
            what="ORB Core is asked again",
            within_s=SOON_S,
            every_s=0.05,
        )


@pytest.mark.performance
class TestORBPerformance:
    """A call over CORBA is quick."""

    def test_orb_call_latency(self, widget_core_client, sample_widget_data, performance_tracker):
        """Of a hundred reads of a native object ninety-five take less than half a second, and as many ask ORB Core."""
        wid = made(widget_core_client, sample_widget_data)["id"]
        asked = 0
        for _ in range(100):
            with performance_tracker.measure("ORB Call"):
                answer = widget_core_client.get_native(wid)
            assert (answer.status_code, answer.json()["payload"]) == (200, sample_widget_data["payload"])
            asked += answer.headers["X-Cache"] == "miss"
        assert asked >= 95, f"only {asked} were answered by ORB Core, the others were what was last known"
        assert performance_tracker.percentile("ORB Call", 0.95) < TARGETS["ORB Call"]


@pytest.mark.resilience
class TestORBErrorHandling:
    """ORB Core away is an inconvenience."""

    def test_the_last_known_view_is_shown_while_orb_core_is_away(self, lab, widget_core_client, sample_widget_data):
        """The view is the last known one, marked stale and degraded; afterwards ORB Core is asked again."""
        wid = made(widget_core_client, sample_widget_data)["id"]
        known = wait_for(partial(widget_core_client.get_native, wid), what="its view is known", within_s=SOON_S).json()
        with broken(lab, Down(), "widget-core.orb-core"):
            view = widget_core_client.get_native(wid)
            assert (view.status_code, view.json()) == (200, known)
            assert view.headers["X-Cache"] == "stale"
            assert view.headers["X-Degraded"] == "widget-core.orb-core"

    def test_creation_goes_on_while_orb_core_is_away(
        self, lab, widget_core_client, orb_core_client, clean_database, postgres_cursor
    ):
        """The widget is recorded as pending with its outbox entry, and becomes active once ORB Core is back."""
        with broken(lab, Down(), "widget-core.orb-core"):
            created = widget_core_client.create_widget({"name": "patient"})
            assert (created.status_code, created.json()["state"]) == (201, "pending")
            postgres_cursor.execute(
                "SELECT w.state, o.kind FROM widgets w JOIN outbox o ON o.widget_id = w.id WHERE w.id = %s",
                [created.json()["id"]],
            )
            assert postgres_cursor.fetchall() == [("pending", "create")]
        assert at_rest(postgres_cursor, orb_core_client) == 1
        assert native(orb_core_client, created.json()["id"])["revision"] == 1
