"""What all clients share: addresses, tokens, conditional and repeatable requests."""

from collections.abc import Mapping
from typing import Any, Final, Self
from uuid import uuid4

import requests

TIMEOUT_S: Final = 5.0

Json = Mapping[str, Any]
Match = int | str
"""The version of a widget that was seen, or its whole ETag; ``*`` for any."""


class ServiceClient:
    """One service over HTTP.

    Every method returns the response as it came, whatever its status, and raises
    ``requests.RequestException`` when there is none. Nothing is repeated: send the same
    ``key`` again to repeat a request that changes something.

    Args:
        url: where the service is, such as ``http://localhost:8080``.
        token: the access token that is sent with every request, None for none.
        timeout_s: seconds to connect, and between two bytes of the answer.
        session: the connections to use; by default the client has its own.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        session: requests.Session | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.timeout_s = timeout_s
        self.session = session or requests.Session()

    def with_token(self, token: str | None) -> Self:
        """Return the same client for somebody else, None for nobody; the connections are shared."""
        return type(self)(self.url, token=token, timeout_s=self.timeout_s, session=self.session)

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        key: str | None = None,
        match: Match | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,  # noqa: ANN401 - what requests takes
    ) -> requests.Response:
        """Send one request and return its response.

        Args:
            method: such as ``GET``.
            path: from the root of the service, such as ``/health``.
            token: instead of the client's own.
            key: the Idempotency-Key, which makes a repeat harmless.
            match: for If-Match.
            headers: any others.
            more: handed on to requests, such as ``json`` and ``params``.
        """
        sent = {**_headers(token or self.token, key, match), **(headers or {})}
        return self.session.request(method, self.url + path, headers=sent, timeout=self.timeout_s, **more)

    def health(self) -> requests.Response:
        """Ask how the service is; what is degraded is in the body."""
        return self.request("GET", "/health")

    def live(self) -> requests.Response:
        """Ask whether the process is alive."""
        return self.request("GET", "/health/live")

    def ready(self) -> requests.Response:
        """Ask whether the service takes traffic; 503 while it drains."""
        return self.request("GET", "/health/ready")

    def metrics(self) -> requests.Response:
        """Return the metrics in the text format of Prometheus."""
        return self.request("GET", "/metrics")


def new_key() -> str:
    """Return an Idempotency-Key that nobody has used."""
    return str(uuid4())


def _headers(token: str | None, key: str | None, match: Match | None) -> dict[str, str]:
    headers = {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if key is not None:
        headers["Idempotency-Key"] = key
    if match is not None:
        headers["If-Match"] = f'"{match}"' if isinstance(match, int) else match
    return headers
