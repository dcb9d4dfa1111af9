"""Whatever Schemathesis makes up from the OpenAPI documents: no 5xx, no leak, problems that are problems."""

import contextlib
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

LEAK = re.compile(
    r"127\.0\.0\.1|localhost|postgres|psycopg|redis|Traceback|IOR:|SELECT |INSERT |omniORB|Exception|site-packages",
    re.IGNORECASE,
)
GENTLE = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
ENDS_THE_LOGIN = "logout|rotate"


def _schema(platform, service):
    found = schemathesis.openapi.from_url(platform.url("/openapi.json", service))
    return found.exclude(path_regex=ENDS_THE_LOGIN)


@pytest.fixture(scope="module")
def editor(platform):
    """The token all made-up requests carry."""
    return platform.token()


def check(case, token):
    """Send a request and judge the answer."""
    answer = case.call(headers={"authorization": f"Bearer {token}"})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0] == "application/problem+json"
        assert not LEAK.search(answer.text), answer.text
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize("service", ["gateway", "widget_core", "security"])
def test_it_answers_whatever_is_made_up(platform, service, editor):
    """Requests that fit the document, and many that nearly do, on every operation."""
    operations = [found.ok() for found in _schema(platform, service).get_all_operations()]
    assert len(operations) >= 8
    for operation in operations:
        # Schemathesis' own pytest plug-in does not know pytest 9 yet: its strategies do.
        for mode in GenerationMode:
            made_up = given(case=operation.as_strategy(generation_mode=mode))
            with contextlib.suppress(Unsatisfiable):  # an operation that takes nothing has nothing to get wrong
                GENTLE(made_up(lambda case: check(case, editor)))()


@pytest.mark.parametrize("service", ["gateway", "widget_core", "security", "orb_core"])
def test_every_reference_in_the_document_resolves(platform, service):
    """The document is complete: no dangling schema, an example or description for what comes in."""
    document = platform.call("GET", "/openapi.json", service=service)
    names = set(re.findall(r"#/components/schemas/([A-Za-z_]+)", document.text))
    assert names <= set(document.json()["components"].get("schemas", {}))
