"""Widgets, from the public door to the stores and back."""

import base64
import uuid

import pytest
import redis

from tests.conformance.platform.stores import PASSWORD, wait_until

PATH = "/api/v1/widgets"


def key() -> dict[str, str]:
    """Return headers with a fresh idempotency key."""
    return {"idempotency-key": str(uuid.uuid4())}


@pytest.fixture
def token(platform):
    """The token of a new editor."""
    return platform.token()


def test_a_widget_lives_and_dies(platform, token):
    """Made, read, replaced, patched, deleted; each answer shows the version."""
    made = platform.create(token, json={"payload": {"a": [1, "ü"]}})
    assert (made.status_code, made.json()["state"], made.headers["etag"]) == (201, "active", '"1"')
    path = f"{PATH}/{made.json()['id']}"
    assert made.headers["location"] == path
    read = platform.call("GET", path, token=token)
    assert (read.json(), read.headers["x-cache"]) == (made.json(), "hit")
    replaced = platform.call("PUT", path, token=token, json={"name": "dial"}, headers={"if-match": '"1"'})
    assert (replaced.json()["name"], replaced.json()["payload"], replaced.headers["etag"]) == ("dial", {}, '"2"')
    patched = platform.call("PATCH", path, token=token, json={"description": "left"})
    assert (patched.json()["name"], patched.json()["description"], patched.json()["version"]) == ("dial", "left", 3)
    assert platform.call("DELETE", path, token=token).status_code == 204
    assert platform.call("DELETE", path, token=token).status_code == 204
    assert platform.call("GET", path, token=token).status_code == 404


def test_if_match_guards_what_was_not_seen(platform, token):
    """A stale version is 412, a missing one on PUT 428, and nothing is changed."""
    path = f"{PATH}/{platform.create(token).json()['id']}"
    for method, headers, status in (
        ("PUT", {}, 428),
        ("PUT", {"if-match": '"7"'}, 412),
        ("PATCH", {"if-match": '"7"'}, 412),
        ("PATCH", {"if-match": "nonsense"}, 412),
        ("DELETE", {"if-match": '"7"'}, 412),
    ):
        assert platform.call(method, path, token=token, json={"name": "x"}, headers=headers).status_code == status
    assert platform.call("GET", path, token=token).json()["version"] == 1


def test_a_known_etag_is_not_sent_again(platform, token):
    """If-None-Match with the present ETag is 304 without a body."""
    path = f"{PATH}/{platform.create(token).json()['id']}"
    answer = platform.call("GET", path, token=token, headers={"if-none-match": '"1"'})
    assert (answer.status_code, answer.content) == (304, b"")


def test_the_same_key_is_one_widget(platform, token):
    """A repeat replays the first answer; another body under the same key is refused."""
    name, headers = str(uuid.uuid4()), key()
    first, again = (platform.create(token, name, headers=headers) for _ in range(2))
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replay"] == "true"
    assert platform.count("SELECT count(*) FROM widgets WHERE name = %s", name) == 1
    assert platform.create(token, "another", headers=headers).status_code == 422


def test_keys_make_every_mutation_harmless(platform, token):
    """PATCH, DELETE and bulk are replayed too."""
    path = f"{PATH}/{platform.create(token).json()['id']}"
    headers = key()
    versions = [
        platform.call("PATCH", path, token=token, json={"name": "x"}, headers=headers).json()["version"] for _ in "ab"
    ]
    assert versions == [2, 2]
    bulk_key = key()
    bulks = [
        platform.call("POST", f"{PATH}/bulk", token=token, json={"widgets": [{"name": "b"}]}, headers=bulk_key)
        for _ in "ab"
    ]
    assert bulks[0].json() == bulks[1].json()
    headers = key()
    assert [platform.call("DELETE", path, token=token, headers=headers).status_code for _ in "ab"] == [204, 204]


def test_keys_belong_to_their_principal(platform, token):
    """Two users may use the same key for different things."""
    headers = key()
    assert platform.create(token, headers=headers).status_code == 201
    other = platform.create(platform.token(), "other", headers=headers)
    assert (other.status_code, other.json()["name"]) == (201, "other")


def test_bulk_is_all_or_nothing(platform, token):
    """One bad widget among good ones: none is stored. All good: all become active."""
    name = str(uuid.uuid4())
    bad = platform.call("POST", f"{PATH}/bulk", token=token, json={"widgets": [{"name": name}, {"name": ""}]})
    assert bad.status_code == 400
    assert platform.count("SELECT count(*) FROM widgets WHERE name = %s", name) == 0
    good = platform.call("POST", f"{PATH}/bulk", token=token, json={"widgets": [{"name": name}] * 100})
    assert (good.status_code, len(good.json()["widgets"])) == (201, 100)
    wait_until(lambda: platform.count("SELECT count(*) FROM widgets WHERE name = %s AND state = 'active'", name) == 100)


def test_pages_are_complete_and_in_order(platform, token):
    """Following the cursors meets each widget exactly once."""
    made = [platform.create(token, f"page {number}").json()["id"] for number in range(7)]
    met, cursor = [], None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = platform.call("GET", PATH, token=token, params=query).json()
        met += [widget["id"] for widget in page["widgets"]]
        cursor = page.get("next")
        if cursor is None:
            break
    assert [wid for wid in met if wid in made] == made
    assert len(met) == len(set(met))


def test_the_native_view_is_orb_cores(platform, token):
    """The native object carries the payload, and follows updates and deletion."""
    path = f"{PATH}/{platform.create(token, json={'payload': {'a': 1}, 'critical': True}).json()['id']}"
    native = platform.call("GET", f"{path}/native", token=token)
    assert (native.json()["payload"], native.json()["critical"], native.headers["x-cache"]) == ({"a": 1}, True, "miss")
    platform.call("PATCH", path, token=token, json={"payload": {"a": 2}})
    wait_until(lambda: platform.call("GET", f"{path}/native", token=token).json()["payload"] == {"a": 2})
    released = _critical_released(platform)
    platform.call("DELETE", path, token=token)
    wait_until(lambda: _critical_released(platform) > released)
    assert platform.call("GET", f"{path}/native", token=token).status_code == 404


def test_at_rest_the_native_objects_are_the_active_widgets(platform, token):
    """The outbox empties, and both sides hold the same ids."""
    for _ in range(5):
        platform.create(token)

    def same() -> bool:
        active = platform.count("SELECT count(*) FROM widgets WHERE state = 'active'")
        live = platform.call("GET", "/memory", service="orb_core").json()["live_objects"]
        return active == live and platform.count("SELECT count(*) FROM outbox") == 0

    wait_until(same)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"name": ""}',
        b'{"name": 7}',
        b'{"name": "a", "unknown": 1}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a", "payload": {"a": "\\u0000"}}',
        b'{"name": "a", "payload": {"a": NaN}}',
        b'{"name": "a", "payload": {"a": 1e999}}',
        b'{"name": "a", "payload": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
        b'{"name": "a", "payload": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        b'{"name": "a", "payload": {"a": "' + b"x" * 20_000 + b'"}}',
        b'{"name": "' + b"x" * 101 + b'"}',
    ],
)
def test_bad_bodies_are_refused(platform, token, body):
    """Whatever is wrong with it: 400, a problem document, and nothing stored."""
    before = platform.count("SELECT count(*) FROM widgets")
    headers = {"content-type": "application/json"}
    answer = platform.call("POST", PATH, token=token, data=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert platform.count("SELECT count(*) FROM widgets") == before


@pytest.mark.parametrize("name", ["'; DROP TABLE widgets; --", "%(id)s", "module X { };", "a\nb", "{{7*7}}", "ü𐍈"])
def test_metacharacters_are_just_text(platform, token, name):
    """What means something to SQL, IDL or a template comes back as it went in."""
    made = platform.create(token, name, json={"payload": {name: name}})
    assert (made.status_code, made.json()["name"], made.json()["payload"]) == (201, name, {name: name})
    native = platform.call("GET", f"{PATH}/{made.json()['id']}/native", token=token)
    assert native.json()["payload"] == {name: name}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"idempotency-key": "a b"}, 400),
        ({"idempotency-key": "x" * 129}, 400),
        ({"x-deadline-ms": "soon"}, 400),
        ({"x-deadline-ms": "0"}, 400),
        ({"content-type": "text/plain"}, 415),
        ({"authorization": "Basic eDp5"}, 401),
    ],
)
def test_bad_headers_are_refused(platform, token, headers, status):
    """Each with its own problem document."""
    answer = platform.create(token, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_large_bodies_are_refused(platform, token):
    """A body beyond the limit is 413 before it is read."""
    headers = {"content-type": "application/json"}
    assert platform.call("POST", PATH, token=token, data=b"x" * 100_000, headers=headers).status_code == 413


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"cursor": "!"}, {"cursor": "YWJj"}])
def test_bad_queries_are_refused(platform, token, query):
    """Limits and cursors are checked."""
    assert platform.call("GET", PATH, token=token, params=query).status_code == 400


@pytest.mark.parametrize("wid", ["x", "%00", "..%2f..%2fhealth", "0" * 200])
def test_strange_ids_are_not_found(platform, token, wid):
    """An id that cannot be one is simply not there."""
    assert platform.call("GET", f"{PATH}/{wid}", token=token).status_code == 404


def test_an_offset_that_postgres_cannot_read_is_just_a_moment(platform, token):
    """A cursor with the clock of nowhere: the page after that moment."""
    cursor = base64.urlsafe_b64encode(f"2126-01-01T00:00:00+23:59:59 {uuid.UUID(int=0)}".encode()).decode()
    answer = platform.call("GET", PATH, token=token, params={"cursor": cursor.rstrip("=")})
    assert (answer.status_code, answer.json()) == (200, {"widgets": []})


@pytest.mark.parametrize("value", [b"nonsense", b"1 2 happy {}", b""])
def test_what_somebody_else_has_put_into_the_cache_is_replaced(platform, token, value):
    """It is a miss, and from then on a hit."""
    path = f"{PATH}/{platform.create(token).json()['id']}"
    with redis.Redis(port=platform.stores.redis_port, password=PASSWORD) as cache:
        cache.set(f"widget:{path.rpartition('/')[2]}", value)
    seen = [platform.call("GET", path, token=token) for _ in range(2)]
    assert [(one.status_code, one.headers["x-cache"]) for one in seen] == [(200, "miss"), (200, "hit")]


def test_a_minimum_version_is_kept(platform, token):
    """A reader who has seen version 2 is never shown version 1."""
    path = f"{PATH}/{platform.create(token).json()['id']}"
    platform.call("PATCH", path, token=token, json={"name": "x"})
    answer = platform.call("GET", path, token=token, headers={"x-min-version": "2"})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert platform.call("GET", path, token=token, headers={"x-min-version": "x"}).status_code == 400


def test_every_answer_has_a_request_id(platform, token):
    """A good one is kept, a bad one replaced."""
    given = platform.call("GET", PATH, token=token, headers={"x-request-id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    assert len(platform.call("GET", "/nowhere").headers["x-request-id"]) == 16


def _critical_released(platform) -> float:
    name = "polyorb_memory_deallocations_total"
    return platform.metric("orb_core", name, service="orb-core", critical="true")
