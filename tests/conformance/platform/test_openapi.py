"""Whatever Schemathesis makes up from the OpenAPI documents: no 5xx, no leak, problems that are problems."""

import contextlib
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.conformance.platform.conftest import ADMIN

LEAK = re.compile(
    r"127\.0\.0\.1|localhost|postgres|psycopg|redis|Traceback|IOR:|SELECT |INSERT |omniORB|Exception|site-packages",
    re.IGNORECASE,
)
GENTLE = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
FEW = settings(GENTLE, max_examples=5)
ENDS_THE_LOGIN = re.compile("logout$")
COSTS_A_LOGIN = re.compile("logout$|rotate$")


def _operations(platform, service):
    found = schemathesis.openapi.from_url(platform.url("/openapi.json", service))
    return [operation.ok() for operation in found.get_all_operations()]


@pytest.fixture(scope="module")
def own(start):
    """A platform on which keys may be rotated and roles given away."""
    return start()


@pytest.fixture(params=["editor", "admin"])
def login(own, request):
    """Log in as somebody and return his token."""
    return lambda: own.token() if request.param == "editor" else own.login(ADMIN)["access_token"]


def check(case, token):
    """Send a request and judge the answer."""
    answer = case.call(headers={"authorization": f"Bearer {token}"})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0] == "application/problem+json"
        assert not LEAK.search(answer.text), answer.text
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize("service", ["gateway", "widget_core", "security", "orb_core"])
def test_it_answers_whatever_is_made_up(own, service, login):
    """Requests that fit the document, and many that nearly do, on every operation; nothing is left out."""
    operations = _operations(own, service)
    assert len(operations) >= 8
    token = login()
    for operation in operations:
        fresh = login if ENDS_THE_LOGIN.search(operation.path) else lambda: token
        amount = FEW if COSTS_A_LOGIN.search(operation.path) else GENTLE
        for mode in GenerationMode:
            with contextlib.suppress(Unsatisfiable):  # an operation that takes nothing has nothing to get wrong
                tried(operation, mode, amount, fresh)


def tried(operation, mode, amount, fresh):
    """Make up so many requests; each carries what *fresh* returns."""

    # Schemathesis' own pytest plug-in does not know pytest 9 yet: its strategies do.
    @amount
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case):
        check(case, fresh())

    one()


@pytest.mark.parametrize("service", ["gateway", "widget_core", "security", "orb_core"])
def test_every_reference_in_the_document_resolves(platform, service):
    """The document is complete: no dangling schema, an example or description for what comes in."""
    document = platform.call("GET", "/openapi.json", service=service)
    names = set(re.findall(r"#/components/schemas/([A-Za-z_]+)", document.text))
    assert names <= set(document.json()["components"].get("schemas", {}))
