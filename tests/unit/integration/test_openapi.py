"""The comparison of OpenAPI documents: each kind of breaking change is caught, and nothing else."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.contracts.openapi import breaking

Document = dict[str, Any]

OUT: Document = {"application/json": {"schema": {"$ref": "#/components/schemas/Out"}}}
OLD: Document = {
    "paths": {
        "/things": {
            "get": {
                "parameters": [
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 200}},
                    {"in": "header", "name": "X-Key", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Out"}}}}
                },
            },
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}},
                "responses": {"201": {"description": "made"}, "404": {"description": "none"}},
            },
        }
    },
    "components": {
        "schemas": {
            "In": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 100, "minLength": 1},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
            },
            "Out": {
                "type": "object",
                "required": ["id", "state"],
                "properties": {
                    "id": {"type": "string"},
                    "count": {"type": "number"},
                    "state": {"type": "string", "enum": ["on", "off"]},
                    "parent": {"$ref": "#/components/schemas/Out"},
                    "list": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                    "maybe": {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]},
                },
            },
            "Part": {"type": "object", "properties": {"size": {"type": "integer"}}},
        }
    },
}


def get(document: Document) -> Document:
    """The operation that reads."""
    return document["paths"]["/things"]["get"]


def post(document: Document) -> Document:
    """The operation that writes."""
    return document["paths"]["/things"]["post"]


def fields(document: Document, name: str) -> Document:
    """The members of a schema."""
    return document["components"]["schemas"][name]["properties"]


def schema(document: Document, name: str) -> Document:
    """A schema."""
    return document["components"]["schemas"][name]


BREAKING: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a removed path": (lambda d: d["paths"].pop("/things"), "GET /things: removed"),
    "a removed method": (lambda d: d["paths"]["/things"].pop("post"), "POST /things: removed"),
    "a token demanded": (lambda d: get(d).update(security=[{"bearer": []}]), "needs a token"),
    "a removed parameter": (lambda d: get(d)["parameters"].pop(), "header parameter X-Key removed"),
    "a parameter required": (lambda d: get(d)["parameters"][1].update(required=True), "X-Key is required"),
    "a new required parameter": (
        lambda d: get(d)["parameters"].append({"in": "query", "name": "v", "required": True}),
        "query parameter v is required",
    ),
    "a parameter limited": (lambda d: get(d)["parameters"][0]["schema"].update(maximum=100), "maximum is 100, was 200"),
    "a parameter of another type": (
        lambda d: get(d)["parameters"][1].update(schema={"type": "integer"}),
        "type string became integer",
    ),
    "a body required": (lambda d: post(d)["requestBody"].update(required=True), "a body is required"),
    "the body removed": (lambda d: post(d).pop("requestBody"), "the body was removed"),
    "another media type taken": (
        lambda d: post(d)["requestBody"].update(content={"text/csv": {}}),
        "application/json removed",
    ),
    "another media type answered": (
        lambda d: get(d)["responses"]["200"].update(content={"text/csv": {}}),
        "application/json removed",
    ),
    "another status of success": (lambda d: post(d).update(responses={"202": {}}), "status 201 removed"),
    "a member no longer taken": (lambda d: fields(d, "In").pop("note"), "request.note: removed"),
    "a member required": (lambda d: schema(d, "In")["required"].append("note"), "request.note: is required"),
    "unknown members refused": (lambda d: schema(d, "In").update(additionalProperties=False), "unknown members"),
    "a shorter text": (lambda d: fields(d, "In")["name"].update(maxLength=50), "maxLength is 50, was 100"),
    "a longer least text": (lambda d: fields(d, "In")["name"].update(minLength=3), "minLength is 3, was 1"),
    "a new pattern": (lambda d: fields(d, "In")["name"].update(pattern="^a"), "pattern is '^a'"),
    "null no longer taken": (lambda d: fields(d, "In").update(note={"type": "string"}), "null, string became string"),
    "a value no longer taken": (lambda d: fields(d, "In")["kind"].update(enum=["a"]), "'b' are not taken"),
    "values enumerated": (lambda d: fields(d, "In")["name"].update(enum=["a"]), "other values are not taken"),
    "items of another type": (lambda d: fields(d, "In")["tags"].update(items={"type": "integer"}), "tags[]: type"),
    "an answered member removed": (lambda d: fields(d, "Out").pop("count"), "200.count: removed"),
    "an answered member not always there": (lambda d: schema(d, "Out")["required"].remove("id"), "id: need not be"),
    "an answered member of another type": (
        lambda d: fields(d, "Out").update(id={"type": "integer"}),
        "id: type string",
    ),
    "an answered member that may be null": (
        lambda d: fields(d, "Out").update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "string became null, string",
    ),
    "an integer that may be a fraction": (lambda d: fields(d, "Part")["size"].update(type="number"), "size: type"),
    "a new value answered": (
        lambda d: fields(d, "Out")["state"].update(enum=["on", "off", "?"]),
        "'?' can be answered",
    ),
    "any value answered": (lambda d: fields(d, "Out")["state"].pop("enum"), "other values can be answered"),
    "a member deep inside removed": (lambda d: fields(d, "Part").pop("size"), "size: removed"),
}

COMPATIBLE: dict[str, Callable[[Document], Any]] = {
    "nothing": lambda _: None,
    "a new path": lambda d: d["paths"].update({"/more": {"get": {"responses": {}}}}),
    "a new optional parameter": lambda d: get(d)["parameters"].append({"in": "query", "name": "v"}),
    "a new optional member taken": lambda d: fields(d, "In").update(more={"type": "string"}),
    "a new member answered": lambda d: fields(d, "Out").update(more={"type": "string"}),
    "a member that is always there now": lambda d: schema(d, "Out")["required"].append("count"),
    "a member that need not be sent any more": lambda d: schema(d, "In")["required"].clear(),
    "a longer text taken": lambda d: fields(d, "In")["name"].update(maxLength=200),
    "a limit lifted": lambda d: fields(d, "In")["name"].pop("minLength"),
    "a new value taken": lambda d: fields(d, "In")["kind"].update(enum=["a", "b", "c"]),
    "a value no longer answered": lambda d: fields(d, "Out")["state"].update(enum=["on"]),
    "null taken too": lambda d: fields(d, "In").update(name={"anyOf": [{"type": "string"}, {"type": "null"}]}),
    "a number that is whole now": lambda d: fields(d, "Out")["count"].update(type="integer"),
    "another error": lambda d: post(d)["responses"].pop("404"),
    "other words": lambda d: get(d).update(summary="List things", description="All of them."),
}


@pytest.mark.parametrize("kind", BREAKING)
def test_a_breaking_change_is_named(kind: str) -> None:
    """Each kind alone is found, and the finding says where and what."""
    change, says = BREAKING[kind]
    new = copy.deepcopy(OLD)
    change(new)
    found = breaking(OLD, new)
    assert any(says in line for line in found), found


@pytest.mark.parametrize("kind", COMPATIBLE)
def test_a_compatible_change_is_not_held_against_anybody(kind: str) -> None:
    """What no client of the old document can notice to its harm is no finding."""
    new = copy.deepcopy(OLD)
    COMPATIBLE[kind](new)
    assert breaking(OLD, new) == []
