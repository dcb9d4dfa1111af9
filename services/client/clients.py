"""One client for each service."""

import requests

from services.client.http import ServiceClient
from services.client.users import UserCalls
from services.client.widgets import WidgetCalls


class ApiGatewayClient(WidgetCalls, UserCalls):
    """The public API, default port 8080: widgets and users."""


class WidgetCoreClient(WidgetCalls):
    """Widget Core itself, default port 8081: widgets, past the gateway."""


class SecurityServiceClient(UserCalls):
    """The Security Service itself, default port 8082: users, past the gateway."""

    def jwks(self) -> requests.Response:
        """Return the public keys that tokens are verified with."""
        return self.request("GET", "/.well-known/jwks.json")


class OrbCoreClient(ServiceClient):
    """The HTTP side of ORB Core, default port 12000; its metrics are also on port 9091."""

    def memory(self) -> requests.Response:
        """Return the counters of native memory."""
        return self.request("GET", "/memory")

    def objects(self, *, after: str = "", limit: int = 1000) -> requests.Response:
        """List the native objects in order of their widgets' ids, beginning behind *after*."""
        return self.request("GET", "/objects", params={"after": after, "limit": limit})

    def ior(self) -> requests.Response:
        """Return the CORBA reference that clients use, as text."""
        return self.request("GET", "/ior")
