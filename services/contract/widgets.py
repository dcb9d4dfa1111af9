"""Widgets as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.contract.text import Payload, Strict, Text

MAX_BULK = 100
MAX_PAGE = 200

Name = Annotated[Text, Field(min_length=1, max_length=100, examples=["left gauge"])]
Description = Annotated[Text, Field(max_length=2000, examples=["shows the oil pressure"])]
Body = Annotated[Payload, Field(examples=[{"colour": "green", "limits": [0, 10]}])]


class WidgetIn(Strict):
    """A widget to be made, or to replace the one that is there."""

    name: Name
    description: Description = ""
    payload: Body = Field(default_factory=dict)
    critical: bool = Field(default=False, description="its native memory is wiped on release")


class WidgetPatch(Strict):
    """The members to be changed."""

    name: Name | None = None
    description: Description | None = None
    payload: Body | None = None
    critical: bool | None = None


class BulkIn(Strict):
    """Widgets to be made in one transaction: all of them or none."""

    widgets: list[WidgetIn] = Field(min_length=1, max_length=MAX_BULK)


class WidgetOut(BaseModel):
    """A widget. `pending`: its native object is not there yet, and will be."""

    id: UUID
    name: str
    description: str
    payload: dict[str, object]
    critical: bool
    state: Literal["pending", "active", "failed"]
    version: int
    owner: str
    created_at: datetime
    updated_at: datetime


class BulkOut(BaseModel):
    """The widgets that were made, in the order they were given."""

    widgets: list[WidgetOut]


class PageOut(BaseModel):
    """One page; `next` is the cursor of the following one, absent on the last."""

    widgets: list[WidgetOut]
    next: str | None = None


class NativeOut(BaseModel):
    """The native object of a widget as ORB Core holds it, or last held it."""

    id: UUID
    native_id: str | None
    revision: int
    critical: bool
    payload: dict[str, object]
