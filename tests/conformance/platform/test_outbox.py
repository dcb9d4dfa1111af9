"""Nothing that somebody has written keeps the outbox from being emptied."""

import contextlib
import json
import uuid

import pytest

from tests.conformance.platform.stores import wait_until

PATH = "/api/v1/widgets"
TOO_LARGE = json.dumps({"a": "x" * 70_000})
POISON = """
INSERT INTO outbox (widget_id, kind, revision, critical, payload)
SELECT id, %s, version, false, %s FROM widgets WHERE id = %s"""
LARGE = """
WITH w AS (
    INSERT INTO widgets (id, name, payload, state, owner)
    SELECT gen_random_uuid(), %(name)s, %(payload)s, 'pending', 'somebody' FROM generate_series(1, 100) RETURNING *)
INSERT INTO outbox (widget_id, kind, revision, critical, payload)
SELECT id, 'create', version, critical, payload::text FROM w"""
STATE = "SELECT array_position(ARRAY['pending', 'active', 'failed'], state) FROM widgets WHERE id = %s"
ACTIVE, FAILED = 2, 3


@pytest.fixture
def token(platform):
    """The token of a new editor."""
    return platform.token()


def poison(platform, kind: str, wid: str) -> None:
    """Have the relay deliver something that ORB Core will not hold, whatever the front door lets through."""
    with contextlib.closing(platform.stores.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(POISON, (kind, TOO_LARGE, wid))


@pytest.mark.parametrize("kind", ["create", "update"])
def test_what_orb_core_refuses_fails_alone(platform, token, kind):
    """The widget has failed, and holds no native object; what comes after it is delivered; a good change heals it."""
    bad, other = (platform.create(token).json()["id"] for _ in "ab")
    poison(platform, kind, bad)
    assert platform.call("DELETE", f"{PATH}/{other}", token=token).status_code == 204
    if kind == "update":
        wait_until(lambda: platform.count(STATE, bad) == FAILED)
        natives = platform.call("GET", "/objects", service="orb_core").json()
        assert not {bad, other} & {one["id"] for one in natives}
        shown = platform.call("GET", f"{PATH}/{bad}", token=token)
        assert shown.json()["state"] == "failed"
    changed = platform.call("PATCH", f"{PATH}/{bad}", token=token, json={"payload": {"a": 1}})
    assert changed.status_code == 200
    wait_until(lambda: platform.count(STATE, bad) == ACTIVE)
    wait_until(lambda: platform.call("GET", f"{PATH}/{bad}/native", token=token).json()["payload"] == {"a": 1})
    wait_until(lambda: platform.count("SELECT count(*) FROM outbox") == 0)


def test_a_hundred_large_widgets_are_more_than_one_message(platform, token):
    """Together they are larger than CORBA's messages may be: all become active, and what comes after them too."""
    name = str(uuid.uuid4())
    with contextlib.closing(platform.stores.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(LARGE, {"name": name, "payload": json.dumps({"a": "x" * 24_000})})
    active = "SELECT count(*) FROM widgets WHERE name = %s AND state = 'active'"
    wait_until(lambda: platform.count(active, name) == 100)
    assert platform.create(token).json()["state"] == "active"
