"""The widget API, which the gateway and Widget Core both answer."""

from collections.abc import Mapping, Sequence
from typing import Final

import requests

from services.client.http import Json, Match, ServiceClient

WIDGETS: Final = "/api/v1/widgets"


class WidgetCalls(ServiceClient):
    """Make, read, change and delete widgets. A *token* goes before the client's own."""

    def create_widget(self, data: Json, *, token: str | None = None, key: str | None = None) -> requests.Response:
        """Make a widget: 201 with ``Location`` and ``ETag``."""
        return self.request("POST", WIDGETS, json=data, token=token, key=key)

    def create_widgets(
        self, data: Sequence[Json], *, token: str | None = None, key: str | None = None
    ) -> requests.Response:
        """Make up to a hundred widgets, all of them or none: 201 with ``{"widgets": [...]}``."""
        return self.request("POST", f"{WIDGETS}/bulk", json={"widgets": list(data)}, token=token, key=key)

    def get_widget(
        self, widget_id: str, *, token: str | None = None, min_version: int | None = None
    ) -> requests.Response:
        """Read a widget, not older than *min_version*; ``X-Cache`` says where the answer comes from."""
        headers = {} if min_version is None else {"X-Min-Version": str(min_version)}
        return self.request("GET", f"{WIDGETS}/{widget_id}", token=token, headers=headers)

    def list_widgets(
        self, *, token: str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> requests.Response:
        """Read a page of at most *limit* widgets; ``next`` in the body is the *cursor* of the following one."""
        asked: Mapping[str, str | int | None] = {"cursor": cursor, "limit": limit}
        return self.request("GET", WIDGETS, token=token, params=asked)

    def replace_widget(
        self, widget_id: str, data: Json, *, match: Match | None, token: str | None = None, key: str | None = None
    ) -> requests.Response:
        """Replace the widget that was seen at *match*: 412 when it has changed since, 428 without *match*."""
        return self.request("PUT", f"{WIDGETS}/{widget_id}", json=data, match=match, token=token, key=key)

    def update_widget(
        self,
        widget_id: str,
        data: Json,
        *,
        match: Match | None = None,
        token: str | None = None,
        key: str | None = None,
    ) -> requests.Response:
        """Change the members in *data* and leave the others: 412 when *match* is given and stale."""
        return self.request("PATCH", f"{WIDGETS}/{widget_id}", json=data, match=match, token=token, key=key)

    def delete_widget(
        self, widget_id: str, *, match: Match | None = None, token: str | None = None, key: str | None = None
    ) -> requests.Response:
        """Delete a widget: 204, also when it is gone already."""
        return self.request("DELETE", f"{WIDGETS}/{widget_id}", match=match, token=token, key=key)

    def get_native(self, widget_id: str, *, token: str | None = None) -> requests.Response:
        """Show the native object as ORB Core holds it, or its last known state (``X-Cache: stale``)."""
        return self.request("GET", f"{WIDGETS}/{widget_id}/native", token=token)
