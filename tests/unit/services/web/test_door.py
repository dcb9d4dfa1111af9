"""The door: request ids, deadlines, shedding, and errors that tell nothing."""

import json
import time

import pytest

from services.resilience import BreakerOpen, BulkheadFull, Ingress, IngressPolicy, NotSent, Shed
from services.web.door import Door, DoorPolicy


class Answer:
    """Collect what an ASGI application sends."""

    def __init__(self):
        self.status, self.headers, self.body = 0, {}, b""

    async def __call__(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")


async def hello(scope, receive, send):
    """Say how much time is left."""
    deadline = scope.get("deadline")
    left = deadline.remaining() if deadline else None
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(left if left is None or left < 1e9 else -1).encode()})


def failing(error, *, after_start=False):
    async def app(scope, receive, send):
        if after_start:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


@pytest.fixture
def knock(run):
    def knock(app=hello, path="/x", ingress=None, headers=(), **policy):
        door = Door(app, ingress or Ingress(IngressPolicy(), time.monotonic), DoorPolicy(request_s=1.0, **policy))
        answer = Answer()
        raw = [(name.encode(), str(value).encode()) for name, value in dict(headers).items()]
        run(door({"type": "http", "path": path, "headers": raw}, None, answer))
        return answer

    return knock


def test_a_request_has_a_default_deadline(knock):
    """Without a header the profile decides."""
    assert 0.9 < json.loads(knock().body) <= 1.0


def test_the_header_decides(knock):
    """X-Deadline-Ms is what is left, less the time on the way."""
    assert 0.4 < json.loads(knock(headers={"x-deadline-ms": 500}).body) <= 0.5
    sent = int((time.time() - 0.3) * 1000)
    assert json.loads(knock(headers={"x-deadline-ms": 500, "x-sent-at": sent}).body) <= 0.21


def test_work_that_arrives_too_late_is_dropped(knock):
    """It lay in a socket until nobody waited any more: 503, and nothing begun."""
    sent = int((time.time() - 2) * 1000)
    answer = knock(headers={"x-deadline-ms": 500, "x-sent-at": sent})
    assert (answer.status, json.loads(answer.body)["type"]) == (503, "urn:problem:deadline-exceeded")


def test_nonsense_about_the_way_is_ignored(knock):
    """A clock that is wrong, or not one at all, changes nothing."""
    for sent in ("x", "1", str(int((time.time() + 100) * 1000))):
        assert json.loads(knock(headers={"x-sent-at": sent}).body) > 0.9


@pytest.mark.parametrize("value", ["0", "-1", "60001", "1.5", "x", "", "9" * 30, "0" * 8 + "11000000000"])
def test_bad_deadlines_are_refused(knock, value):
    """400, not a guess."""
    assert knock(headers={"x-deadline-ms": value}).status == 400


def test_without_deadlines_there_is_no_end(knock):
    """With `deadline` off the header is ignored."""
    assert json.loads(knock(headers={"x-deadline-ms": 5}, deadlines=False).body) == -1


def test_request_ids(knock):
    """A good one is kept, a bad one replaced."""
    assert knock(headers={"x-request-id": "a-1"}).headers["x-request-id"] == "a-1"
    assert len(knock(headers={"x-request-id": "a b"}).headers["x-request-id"]) == 16


def test_a_full_service_sheds_but_stays_alive(knock):
    """503 with Retry-After at the door; health and metrics come in all the same."""
    full = Ingress(IngressPolicy(limit=0, queue=0), time.monotonic)
    shed = knock(ingress=full)
    assert (shed.status, shed.headers["retry-after"]) == (503, "1")
    assert json.loads(shed.body)["outcome"] == "not-done"
    for path in ("/health", "/health/live", "/metrics"):
        assert knock(ingress=full, path=path).status == 200


def test_places_are_given_back(knock):
    """Whatever happens inside, the place at the door is free again."""
    ingress = Ingress(IngressPolicy(), time.monotonic)
    knock(ingress=ingress)
    knock(failing(ValueError()), ingress=ingress)
    assert ingress.in_flight == 0


def test_unexpected_errors_tell_nothing(knock, caplog):
    """500 without the exception's text; with `errors.sanitized` off, with it."""
    secret = ValueError("host=10.0.0.1 password=x")
    assert "10.0.0.1" not in knock(failing(secret)).body.decode()
    assert "unexpected error" in caplog.text
    assert "10.0.0.1" in knock(failing(secret), sanitized=False).body.decode()


def test_refusals_become_problems(knock):
    """A dependency that cannot be reached is 503, and nothing was done."""
    answer = knock(failing(NotSent("10.0.0.1 refused")))
    assert (answer.status, json.loads(answer.body)["outcome"]) == (503, "not-done")
    assert b"10.0.0.1" not in answer.body


@pytest.mark.parametrize(
    ("error", "seconds", "milliseconds"),
    [
        (BulkheadFull(retry_after=0.1), "1", "100"),
        (Shed(retry_after=1.5), "2", "1500"),
        (NotSent(), "1", None),
        (BreakerOpen(retry_after=0.3), "1", None),
    ],
)
def test_a_refusal_says_when_to_come_back(knock, error, seconds, milliseconds):
    """In whole seconds for everybody; between services in milliseconds, but to an open breaker nobody hurries back."""
    headers = knock(failing(error)).headers
    assert (headers["retry-after"], headers.get("retry-after-ms")) == (seconds, milliseconds)


def test_an_answer_that_has_begun_is_not_begun_again(knock):
    """After the first byte an error can only end the answer."""
    assert knock(failing(ValueError(), after_start=True)).status == 200
