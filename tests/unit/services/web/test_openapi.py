"""The OpenAPI document has an example of whatever goes in and comes out, and each is what it stands for."""

import importlib

import jsonschema_rs
import pytest

from services.web.environment import Environment

METHODS = {"get", "post", "put", "patch", "delete"}
SERVICES = ["gateway", "widget_core", "security"]


def document(service):
    """Return the document of a service, which need not run for that."""
    module = importlib.import_module(f"services.{service}.main")
    return module.build(Environment({"SERVICE_PROFILE": "lab"})).door._app.openapi()


DOCUMENTS = {service: document(service) for service in SERVICES}
OPERATIONS = [
    pytest.param(service, operation, id=f"{service} {method} {path}")
    for service, found in DOCUMENTS.items()
    for path, methods in found["paths"].items()
    for method, operation in methods.items()
    if method in METHODS
]


def validate(service, schema, example):
    """Raise unless *example* is what *schema* of that document describes."""
    whole = {**schema, "components": DOCUMENTS[service]["components"]}
    jsonschema_rs.validator_for(whole).validate(example)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_every_body_and_parameter_has_an_example_that_fits(service, operation):
    """What a request may carry is shown, and the examples validate against their own schemas."""
    contents = operation.get("requestBody", {}).get("content", {}).values()
    for described in (*contents, *operation.get("parameters", ())):
        validate(service, described["schema"], described["example"])


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_every_response_has_an_example_that_fits(service, operation):
    """Each answer with a body is shown; errors are problem documents of their own status."""
    answered = 0
    for status, response in operation["responses"].items():
        for kind, content in response.get("content", {}).items():
            validate(service, content.get("schema", {}), content["example"])
            answered += 1
            if kind == "application/problem+json":
                assert (content["example"]["status"], content["schema"]["$ref"][-10:]) == (int(status), "ProblemOut")
    assert answered or set(operation["responses"]) == {"204"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_public_operation_says_which_errors_it_has(service):
    """429 and 503 can meet everybody, 401 and 403 whoever needs a token."""
    for path, methods in DOCUMENTS[service]["paths"].items():
        if path.startswith("/api/"):
            for operation in methods.values():
                needed = {"429", "503"} | ({"401", "403"} if "security" in operation else set())
                assert needed <= set(operation["responses"]), path
