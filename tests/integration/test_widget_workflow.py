"""Widgets through the gateway, end to end, asserted in the stores as well as in the answers."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from chaos import Lab, wait_for

pytestmark = pytest.mark.integration

WIDGETS = "/api/v1/widgets"
AUTH = "/api/v1/auth"


@pytest.fixture
def credentials() -> dict[str, str]:
    """A user that nobody else uses."""
    return {"email": f"{uuid.uuid4().hex}@example.org", "password": uuid.uuid4().hex}


@pytest.fixture
def http(lab: Lab, credentials: dict[str, str]) -> Iterator[requests.Session]:
    """A session of a user who is logged in."""
    with requests.Session() as session:
        session.post(f"{lab.url}{AUTH}/register", json=credentials, timeout=5).raise_for_status()
        tokens = session.post(f"{lab.url}{AUTH}/login", json=credentials, timeout=5).json()
        session.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        yield session


@pytest.fixture
def cursor(lab: Lab) -> Iterator[Any]:
    """A cursor of Postgres, past every proxy."""
    with closing(lab.postgres()) as connection, connection.cursor() as open_cursor:
        yield open_cursor


def create(http: requests.Session, lab: Lab, **fields: object) -> requests.Response:
    """Create a widget with a key of its own."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    return http.post(f"{lab.url}{WIDGETS}", json={"name": "w", **fields}, headers=key, timeout=5)


class TestWidgetCreateWorkflow:
    """Creating spans the gateway, Widget Core, Postgres, ORB Core and the cache."""

    def test_a_created_widget_is_in_every_store(self, lab: Lab, http: requests.Session, cursor: Any) -> None:
        """The row is active, the cache holds it, ORB Core has its object, and it can be read."""
        answer = create(http, lab, name="gear", payload={"teeth": 12})
        assert answer.status_code == 201, answer.text
        widget = answer.json()
        cursor.execute("SELECT name, state, version FROM widgets WHERE id = %s", [widget["id"]])
        assert cursor.fetchall() == [("gear", "active", 1)]
        with lab.redis() as cache:
            assert cache.exists(f"widget:{widget['id']}")
        native = http.get(f"{lab.url}{WIDGETS}/{widget['id']}/native", timeout=5)
        assert (native.status_code, native.json()["payload"]) == (200, {"teeth": 12})
        assert http.get(f"{lab.url}{WIDGETS}/{widget['id']}", timeout=5).json()["name"] == "gear"

    def test_the_same_key_creates_one_widget(self, lab: Lab, http: requests.Session, cursor: Any) -> None:
        """The second answer is the first one again; another body under the key is refused."""
        name = uuid.uuid4().hex
        key = {"Idempotency-Key": uuid.uuid4().hex}
        url = f"{lab.url}{WIDGETS}"
        first, second = (http.post(url, json={"name": name}, headers=key, timeout=5) for _ in range(2))
        assert first.json()["id"] == second.json()["id"]
        assert http.post(url, json={"name": "other"}, headers=key, timeout=5).status_code == 422
        cursor.execute("SELECT count(*) FROM widgets WHERE name = %s", [name])
        assert cursor.fetchone() == (1,)

    def test_without_a_token_nothing_is_created(self, lab: Lab, cursor: Any) -> None:
        """401 as a problem document, and no row."""
        name = uuid.uuid4().hex
        answer = requests.post(f"{lab.url}{WIDGETS}", json={"name": name}, timeout=5)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        cursor.execute("SELECT count(*) FROM widgets WHERE name = %s", [name])
        assert cursor.fetchone() == (0,)


class TestWidgetUpdateWorkflow:
    """Nobody overwrites what he has not seen."""

    def test_an_update_needs_the_version_that_was_seen(self, lab: Lab, http: requests.Session, cursor: Any) -> None:
        """Without If-Match 428, with a stale one 412, with the right one the version grows."""
        widget = create(http, lab).json()
        url = f"{lab.url}{WIDGETS}/{widget['id']}"
        assert http.put(url, json={"name": "b"}, timeout=5).status_code == 428
        assert http.put(url, json={"name": "b"}, headers={"If-Match": '"7"'}, timeout=5).status_code == 412
        assert http.put(url, json={"name": "b"}, headers={"If-Match": '"1"'}, timeout=5).json()["version"] == 2
        cursor.execute("SELECT name, version FROM widgets WHERE id = %s", [widget["id"]])
        assert cursor.fetchall() == [("b", 2)]
        assert http.get(url, timeout=5).headers["ETag"] == '"2"'


class TestWidgetDeleteWorkflow:
    """Deleting twice is fine."""

    def test_a_deleted_widget_is_gone_everywhere(self, lab: Lab, http: requests.Session, cursor: Any) -> None:
        """204 both times, then 404 and no row."""
        widget = create(http, lab, critical=True).json()
        url = f"{lab.url}{WIDGETS}/{widget['id']}"
        assert [http.delete(url, timeout=5).status_code for _ in range(2)] == [204, 204]
        assert http.get(url, timeout=5).status_code == 404
        cursor.execute("SELECT count(*) FROM widgets WHERE id = %s", [widget["id"]])
        assert cursor.fetchone() == (0,)


class TestThroughToxiproxy:
    """The lab's edges are really on the way."""

    @pytest.mark.parametrize("edge", ["widget-core.postgres", "security.postgres", "gateway.widget-core"])
    def test_a_cut_edge_is_answered_with_a_problem_that_tells_nothing(
        self, lab: Lab, http: requests.Session, edge: str
    ) -> None:
        """503 with Retry-After, and neither host, port nor driver in the body; it heals without a restart."""
        user = {"email": "a@example.org", "password": "x" * 12}

        def send() -> requests.Response:
            if edge == "security.postgres":
                return requests.post(f"{lab.url}{AUTH}/login", json=user, timeout=5)
            return create(http, lab)

        with lab.edge(edge).proxy.down():
            answer = send()
        assert answer.status_code == 503, answer.text
        assert "Retry-After" in answer.headers
        for secret in ("127.0.0.1", str(lab.edge(edge).upstream.port), "psycopg", "Traceback"):
            assert secret not in answer.text
        wait_for(lambda: send().status_code in {201, 401}, what="the platform is well again", within_s=8, every_s=0.1)
