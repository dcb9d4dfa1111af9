"""Clients, dashboards and data of version 1 meet the platform of today."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
import uuid
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher

from chaos import wait_for
from tests.integration.contracts import documents, exchanges
from tests.integration.contracts.openapi import breaking
from tests.integration.support.cleaning import at_rest
from tests.integration.support.patience import made
from tests.integration.support.stack import Platform

WIDGETS = "/api/v1/widgets"


@pytest.fixture
def urls(platform: Platform) -> dict[str, str]:
    """Where each service answers."""
    return documents.urls(platform)


class TestRecordedExchanges:
    """What version 1 answered is answered today: status, headers, members, types, values."""

    @pytest.mark.parametrize("journey", exchanges.journeys())
    def test_a_recorded_journey_can_be_repeated(self, urls, http_session, clean_database, clean_redis, journey):
        """The same requests in the same order get the answers that were recorded."""
        assert list(exchanges.replay(journey, urls, http_session)) == []

    def test_every_operation_of_the_public_api_is_recorded(self):
        """No operation of the gateway's document is missing from the journeys."""
        sent = {
            (exchange["request"]["method"], re.sub(r"\{\w+\}|\?.*|[0-9A-Fa-f-]{36}", "", exchange["request"]["path"]))
            for name in exchanges.journeys()
            for exchange in exchanges.load(name)["exchanges"]
        }
        promised = {
            (method.upper(), re.sub(r"\{\w+\}", "", path))
            for path, item in documents.recorded("gateway")["paths"].items()
            for method in item
            if path != "/metrics"
        }
        assert promised - sent == set()


class TestDocuments:
    """What the services say of themselves only grows."""

    @pytest.mark.parametrize("service", documents.SERVICES)
    def test_the_openapi_document_breaks_no_client(self, urls, http_session, service):
        """Nothing that was promised is gone, narrower, or newly demanded."""
        assert breaking(documents.recorded(service), documents.fetch(urls[service], http_session)) == []

    @pytest.mark.parametrize("service", documents.WITH_METRICS)
    def test_dashboards_find_their_metrics(self, urls, http_session, service):
        """Every metric that was there is there, with the labels it had."""
        promised = json.loads(documents.METRICS.read_text())[service]
        seen = documents.metrics(urls[service], http_session)
        assert {name: seen.get(name) for name in promised} == promised


class TestUnknownThings:
    """What version 1 does not know is treated as its document says."""

    def test_members_that_nobody_knows_are_refused_and_named(
        self, api_gateway_client, urls, http_session, clean_database, postgres_cursor
    ):
        """Every body of the document forbids them; the answer says where, and nothing is stored."""
        document = documents.fetch(urls["gateway"], http_session)
        taken = [body for body in document["components"]["schemas"].values() if "additionalProperties" in body]
        assert [body["additionalProperties"] for body in taken if body["title"].endswith(("In", "Patch"))] == [
            False
        ] * 5
        answer = api_gateway_client.create_widget({"name": "a", "payload": {}, "colour": "green"})
        assert (answer.status_code, [one["at"] for one in answer.json()["errors"]]) == (400, ["colour"])
        postgres_cursor.execute("SELECT count(*) FROM widgets")
        assert postgres_cursor.fetchone() == (0,)

    def test_headers_and_queries_that_nobody_knows_are_ignored(self, api_gateway_client):
        """A client of a later version is served."""
        answer = api_gateway_client.request(
            "POST",
            f"{WIDGETS}?trace=on&v=9",
            json={"name": "from the future"},
            headers={"X-Api-Version": "9", "Prefer": "return=minimal", "Traceparent": "00-0-0-00"},
        )
        assert (answer.status_code, answer.json()["name"]) == (201, "from the future")
        read = api_gateway_client.request("GET", f"{WIDGETS}/{answer.json()['id']}?fields=name")
        assert read.json()["version"] == 1

    @pytest.mark.parametrize("service", ["gateway", "security", "widget_core", "orb_core"])
    def test_probes_that_speak_http_1_0_are_answered(self, urls, service):
        """Neither Host nor keep-alive is needed to ask how a service is."""
        found = urlsplit(urls[service])
        with socket.create_connection((found.hostname, found.port), timeout=5) as connection:
            connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
            answer = connection.makefile("rb").read()
        assert re.match(rb"HTTP/1\.[01] 200 ", answer)
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"status": "ok"}


class TestDataOfVersion1:
    """What version 1 left in the stores is understood: instances of two versions may run side by side."""

    def test_a_cached_value_is_read(self, api_gateway_client, redis_client, sample_widget_data):
        """Version, moment, state and body as version 1 put them: a hit, with that age, and exactly that body."""
        widget = api_gateway_client.create_widget(sample_widget_data).json()
        body = json.dumps({**widget, "version": 9, "description": "cached by version 1"})
        moment = int(time.time() * 1000)
        redis_client.set(f"widget:{widget['id']}", f"9 {moment} active {body}", px=30_000)
        read = api_gateway_client.get_widget(widget["id"])
        assert (read.headers["X-Cache"], read.headers["ETag"], read.text) == ("hit", '"9"', body)

    def test_a_tombstone_is_believed(self, api_gateway_client, redis_client, sample_widget_data):
        """A deletion that version 1 noted hides the widget, as long as the note is fresh."""
        wid = made(api_gateway_client, sample_widget_data)["id"]
        redis_client.set(f"widget:{wid}", f"9 {int(time.time() * 1000)} gone ", px=30_000)
        assert api_gateway_client.get_widget(wid).status_code == 404

    def test_a_stored_answer_is_replayed(self, api_gateway_client, clean_database, postgres_cursor):
        """The same key and body, sent to version 1 first: its answer, to the letter, and no second widget."""
        key, body, answered = uuid.uuid4().hex, '{"name": "once"}', '{"id":"x","version":1,"state":"active"}'
        fingerprint = hashlib.sha256(f"POST\n{WIDGETS}\n\n{body}".encode()).digest()
        postgres_cursor.execute(
            "INSERT INTO idempotency_keys (principal, key, fingerprint, status, response) VALUES (%s, %s, %s, 201, %s)",
            [api_gateway_client.me().json()["id"], key, fingerprint, answered],
        )
        json_body = {"Content-Type": "application/json"}
        again = api_gateway_client.request("POST", WIDGETS, key=key, data=body, headers=json_body)
        assert (again.status_code, again.text, again.headers["Idempotent-Replay"]) == (201, answered, "true")
        postgres_cursor.execute("SELECT count(*) FROM widgets")
        assert postgres_cursor.fetchone() == (0,)

    def test_what_version_1_left_in_the_outbox_is_delivered(
        self, api_gateway_client, orb_core_client, clean_database, postgres_cursor
    ):
        """A pending widget with its entry becomes active, with a native object that carries its payload."""
        wid = str(uuid.uuid4())
        postgres_cursor.execute(
            """WITH w AS (INSERT INTO widgets (id, name, payload, state, owner)
                          VALUES (%s, 'left behind', '{"a": 1}', 'pending', 'somebody') RETURNING *)
            INSERT INTO outbox (widget_id, kind, revision, critical, payload)
            SELECT id, 'create', version, critical, payload::text FROM w""",
            [wid],
        )
        wait_for(
            lambda: api_gateway_client.get_widget(wid).json()["state"] == "active", what="it is active", within_s=5
        )
        assert at_rest(postgres_cursor, orb_core_client) == 1
        assert api_gateway_client.get_native(wid).json()["payload"] == {"a": 1}

    @pytest.mark.parametrize(("memory_kib", "rounds"), [(8, 1), (19_456, 2)])
    def test_passwords_hashed_with_other_parameters_are_good(
        self, security_service_client, sample_user_data, postgres_cursor, memory_kib, rounds
    ):
        """The parameters are in the hash: users of earlier profiles log in."""
        hasher = PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1)
        postgres_cursor.execute(
            "INSERT INTO users (id, email, password_hash, role) VALUES (%s, %s, %s, 'viewer')",
            [str(uuid.uuid4()), sample_user_data["email"], hasher.hash(sample_user_data["password"])],
        )
        answer = security_service_client.login(sample_user_data)
        assert answer.status_code == 200, answer.text
        assert security_service_client.me(token=answer.json()["access_token"]).json()["role"] == "viewer"
