"""The OpenAPI document: FastAPI's, completed with the bodies that handlers read themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.contract.routes import components

BEARER = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes)
        known = made.setdefault("components", {})
        known["schemas"] = components() | known.get("schemas", {})
        known["securitySchemes"] = BEARER
        app.openapi_schema = made
    return app.openapi_schema
