"""Headers and bodies from outside: what means something is taken, everything else is a problem document."""

import asyncio
import base64
import time
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from services.contract.numbers import whole
from services.resilience import Deadline
from services.web import requests
from services.web.door import _request_id, _time_left
from services.web.problems import Problem
from services.web.tokens import bearer
from services.widget_core.api import _limit, _position

OCTETS = st.one_of(
    st.binary(max_size=200),
    st.from_regex(rb"[0-9]{1,30}", fullmatch=True),
    st.from_regex(rb"0{1,10}[0-9]{1,20}", fullmatch=True),
    st.sampled_from([b'"1"', b'W/"1"', b"*", b'"1-pending"', "٣".encode(), b"Bearer x", b"bearer", b"-1", b"1e9"]),
)
PARSERS = {
    "if-match": (requests.if_match, {412}),
    "x-min-version": (requests.min_version, {400}),
    "idempotency-key": (requests.idempotency_key, {400}),
    "content-type": (requests.check_json, {415}),
    "authorization": (bearer, {401}),
}
MANY = settings(max_examples=300)


def request(headers=(), chunks=()):
    """Return a request with raw headers and a body in pieces."""
    left = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    left.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return left.pop(0)

    deadline = Deadline.after(5, time.monotonic)
    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers), "deadline": deadline}
    return Request(scope, receive)


def refusal(parse) -> int | None:
    """Return the status of the problem that *parse* raises, None when it understands."""
    try:
        parse()
    except Problem as problem:
        return problem.status
    return None


@pytest.mark.parametrize("name", PARSERS)
@MANY
@given(value=OCTETS)
def test_a_header_is_understood_or_refused(name, value):
    """Whatever octets it carries: a value, or the one problem that belongs to it."""
    parse, refusals = PARSERS[name]
    assert refusal(lambda: parse(request([(name.encode(), value)]))) in {None, *refusals}


@MANY
@given(deadline=OCTETS, sent=OCTETS)
def test_deadlines_from_outside_are_bounded(deadline, sent):
    """A minute is the longest, nonsense is 400, and a clock that is wrong gives nobody more time."""
    given = {b"x-deadline-ms": deadline, b"x-sent-at": sent}
    assert refusal(lambda: _time_left(given, 1.0)) in {None, 400}
    assert refusal(lambda: _time_left(given, 1.0)) or _time_left(given, 1.0) <= 60.0


@MANY
@given(
    text=st.one_of(st.text(max_size=30), OCTETS.map(lambda octets: octets.decode("latin-1"))),
    most=st.integers(1, 10**9),
)
def test_a_whole_number_lies_within_its_bounds(text, most):
    """From one to the most, written in plain digits: anything else is none."""
    found = whole(text, most)
    assert found is None or (1 <= found <= most and set(text) <= set("0123456789"))
    assert whole(str(most), most) == most
    assert whole("0" + str(most), most) is None


@pytest.mark.parametrize("limit", ["0", "201", "00000199999999", "٣", "-1", "1e2", "", " 5", "9" * 5000])
def test_pages_are_bounded(limit):
    """A page is as long as the most at most, however its length is written."""
    scope = {"type": "http", "query_string": urlencode({"limit": limit}).encode()}
    assert refusal(lambda: _limit(Request(scope))) == 400


@MANY
@given(value=OCTETS)
def test_request_ids_are_short_and_plain(value):
    """Nothing that could break a log line or a header is taken over."""
    taken = _request_id({b"x-request-id": value})
    assert 0 < len(taken) <= 64
    assert taken.isascii()
    assert taken.isprintable()


@pytest.mark.parametrize("declared", [[], [(b"content-length", b"5")], [(b"content-length", b"9" * 40)]])
def test_a_body_is_too_long_whatever_it_declares(declared):
    """It is refused at its declared length, or as soon as more arrives than is allowed."""
    with pytest.raises(Problem) as refused:
        asyncio.run(requests.read_body(request(declared, [b"x" * 40] * 3), 100))
    assert (refused.value.status, refused.value.slug) == (413, "body-too-large")


def test_a_body_that_does_not_come_in_time_is_given_up(run, clock):
    """Half a body holds its place no longer than the request has time: 408, and nothing was done."""

    async def receive():
        await asyncio.sleep(3600)

    half = Request({"type": "http", "headers": [], "deadline": Deadline.after(2, clock)}, receive)
    with pytest.raises(Problem) as refused:
        run(requests.read_body(half, 100))
    assert (refused.value.status, refused.value.members, clock() - 1000) == (408, {"outcome": "not-done"}, 2)


def test_without_deadlines_a_body_has_all_the_time_there_is(run, clock):
    """With `deadline` off nobody looks at the clock."""
    parts = [{"type": "http.request", "body": b"x", "more_body": False}]

    async def receive():
        await asyncio.sleep(3600)
        return parts.pop()

    slow = Request({"type": "http", "headers": [], "deadline": Deadline.never(clock)}, receive)
    assert run(requests.read_body(slow, 100)) == b"x"


def _cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-01T00:00:00+23:59",
        "2026-01-01T00:00:00-23:59:59.999999",
        "2026-01-01T00:00:00+00:00:00.000001",
        "2026-01-01 00:00:00.000001+00",
        "2026-W01-1",
    ],
)
def test_a_cursor_is_a_moment_that_postgres_can_read(moment):
    """Whatever offset it comes with, it goes on in UTC, and is the same moment."""
    found, _ = _position(_cursor_of(f"{moment} {UUID(int=0)}"))
    assert found.endswith("+00:00")
    given = datetime.fromisoformat(moment)
    assert datetime.fromisoformat(found) == (given if given.tzinfo else given.replace(tzinfo=UTC))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00", "infinity", ""])
def test_a_cursor_beyond_all_moments_is_refused(moment):
    """It is 400 like every other cursor that is not one of ours."""
    assert refusal(lambda: _position(_cursor_of(f"{moment} {UUID(int=0)}"))) == 400


@MANY
@given(moment=st.datetimes(timezones=st.none() | st.timezones()) | st.text(max_size=40), rest=st.text(max_size=40))
def test_no_cursor_is_an_internal_error(moment, rest):
    """It is understood, or it is 400."""
    text = f"{moment} {rest}"
    for cursor in (text, _cursor_of(text.encode("utf-8", "replace").decode()), _cursor_of(f"{moment} {UUID(int=7)}")):
        assert refusal(lambda cursor=cursor: _position(cursor)) in (None, 400)
