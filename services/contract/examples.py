"""An example of every body that goes in or comes out, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel

from services.contract.auth import REFRESH_TOKEN, Credentials, KeyOut, MeOut, RefreshIn, RoleIn, TokensOut, UserOut
from services.contract.widgets import BulkIn, BulkOut, NativeOut, PageOut, WidgetIn, WidgetOut, WidgetPatch

ID = "9b2f6a52-8c1e-4f0e-9d35-0a6b1c7e4d21"
CURSOR = "MjAyNi0wMS0wNSAwODowMDowMCswMCA5YjJmNmE1Mg"
USER = {"id": "3f1c2a77-5d0b-4b8e-8a44-6c9d2e1f0b55", "email": "ada@example.org", "role": "editor"}
WANTED = {
    "name": "left gauge",
    "description": "shows the oil pressure",
    "payload": {"colour": "green", "limits": [0, 10]},
    "critical": True,
}
WIDGET = {
    "id": ID,
    **WANTED,
    "state": "active",
    "version": 3,
    "owner": USER["id"],
    "created_at": "2026-01-05T08:00:00+00:00",
    "updated_at": "2026-01-05T09:30:00+00:00",
}

EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    WidgetIn: WANTED,
    WidgetPatch: {"description": "shows the oil pressure of the left engine"},
    BulkIn: {"widgets": [WANTED, {"name": "right gauge"}]},
    WidgetOut: WIDGET,
    BulkOut: {"widgets": [WIDGET]},
    PageOut: {"widgets": [WIDGET], "next": CURSOR},
    NativeOut: {"id": ID, "native_id": "n-17", "revision": 3, "critical": True, "payload": WANTED["payload"]},
    Credentials: {"email": USER["email"], "password": "correct horse battery"},
    RefreshIn: {"refresh_token": REFRESH_TOKEN},
    RoleIn: {"role": "viewer"},
    UserOut: USER,
    MeOut: {**USER, "token_id": "0c9a", "issued_at": 1767600000.0},
    KeyOut: {"kid": "Z2F1Z2U"},
    TokensOut: {
        "access_token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl",
        "refresh_token": REFRESH_TOKEN,
        "token_type": "bearer",
        "expires_in": 900,
    },
}
