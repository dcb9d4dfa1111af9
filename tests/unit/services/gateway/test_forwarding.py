"""What the gateway passes on, and what it may send again."""

# ruff: noqa: ARG002 - fakes take what the real ones take

import time

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from starlette.requests import Request

from services.contract.routes import AUTH_ROUTES, WIDGET_ROUTES
from services.drivers.http import Answer
from services.gateway.api import Forwarder, Gate
from services.gateway.limits import Limit, LimitPolicy
from services.resilience import Deadline
from services.web.tokens import Principal
from tests.unit.services.fakes import FakeRedis

ADMIN = Principal(user_id="u", role="admin", token_id="t", issued_at=1.0, expires_at=1e12)  # noqa: S106 - made up
ROUTES = {route.name: route for route in (*WIDGET_ROUTES, *AUTH_ROUTES)}


class Behind:
    """A service behind the gateway that answers 200."""

    def __init__(self):
        self.calls = []

    async def call(self, call, deadline):
        """Take note, and answer."""
        self.calls.append(call)
        return Answer(status=200, headers=CIMultiDictProxy(CIMultiDict()), body=b"{}")


@pytest.fixture
def forwarded(run):
    def forwarded(name, **headers):
        """Return the call that is made for a request to the route *name*."""
        behind, route = Behind(), ROUTES[name]

        async def verify(_token, _deadline):
            return ADMIN

        async def receive():
            return {"type": "http.request", "body": b"{}", "more_body": False}

        unlimited = Limit(FakeRedis(), LimitPolicy(name="x", most=1, window_s=1, enabled=False))
        gate = Gate(verify=verify, revocations=None, general=unlimited, logins=unlimited)
        raw = {"authorization": "Bearer x", **{key.replace("_", "-"): value for key, value in headers.items()}}
        scope = {
            "type": "http", "method": route.method, "path": route.path, "raw_path": route.path.encode(),
            "query_string": b"", "headers": [(key.encode(), value.encode()) for key, value in raw.items()],
            "request_id": "r", "deadline": Deadline.after(1, time.monotonic),
        }  # fmt: skip
        run(Forwarder(behind, gate).handler(route)(Request(scope, receive)))
        return behind.calls[0]

    return forwarded


@pytest.mark.parametrize("name", ["create", "create_many", "replace", "patch"])
def test_a_change_may_be_sent_again_if_it_has_a_key(forwarded, name):
    """The service behind knows the key, and a repeat does no harm."""
    assert (forwarded(name).safe, forwarded(name, idempotency_key="k").safe) == (False, True)


@pytest.mark.parametrize("name", ["register", "login", "refresh", "logout", "set_role", "rotate_key"])
def test_a_key_where_nobody_heeds_it_makes_nothing_safe(forwarded, name):
    """The security service knows no keys: a refresh that is sent twice looks like theft."""
    assert not forwarded(name, idempotency_key="k").safe


@pytest.mark.parametrize("name", ["page", "get", "native", "me", "delete"])
def test_reads_and_deletes_may_be_sent_again(forwarded, name):
    """They do the same however often they come."""
    assert forwarded(name).safe
