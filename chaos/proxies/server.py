"""One Toxiproxy server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import toxiproxy.server

from chaos.errors import NotHeldError, ProxyError
from chaos.proxies.proxy import Proxy
from chaos.proxies.transport import CALL_WITHIN_S, Transport, field, fields


class Toxiproxy(toxiproxy.server.Toxiproxy):  # type: ignore[misc]  # the package has no types
    """One Toxiproxy server.

    Args:
        url: of its API, such as ``http://127.0.0.1:8474``.
        within_s: seconds that one call may take.
    """

    def __init__(self, url: str, within_s: float = CALL_WITHIN_S) -> None:
        self.transport = Transport(url, within_s)

    @property
    def url(self) -> str:
        """Of its API."""
        return self.transport.url

    def proxies(self) -> dict[str, Proxy]:
        """All proxies by name."""
        found = self.transport.call("GET", "/proxies")
        if not isinstance(found, dict):
            msg = f"{self.transport.url} does not answer like Toxiproxy: {found!r:.100}"
            raise ProxyError(msg)
        return {name: self._proxy(state) for name, state in found.items()}

    def get_proxy(self, proxy_name: str) -> Proxy | None:
        """The proxy of that name, or None."""
        try:
            return self._proxy(self.transport.call("GET", f"/proxies/{quote(proxy_name, safe='')}"))
        except NotHeldError:
            return None

    def handle(self, proxy_name: str) -> Proxy:
        """The proxy of that name to change its toxics, without asking whether it is there and how it is."""
        return Proxy(self.transport, name=proxy_name, listen="", upstream="", enabled=True)

    def running(self) -> bool:
        """Whether a Toxiproxy answers there."""
        try:
            return bool(self.version())
        except ProxyError:
            return False

    def version(self) -> str:
        """The server's version."""
        return str(field(self.transport.call("GET", "/version"), "version", self.transport.url))

    def reset(self) -> bool:
        """Enable all proxies and remove all toxics, one by one and safely."""
        for proxy in self.proxies().values():
            proxy.heal()
        return True

    def create(self, upstream: str, name: str, listen: str = "127.0.0.1:0", enabled: bool = True) -> Proxy:  # noqa: FBT001, FBT002  (toxiproxy-python's order)
        """Create a proxy."""
        body = {"upstream": upstream, "name": name, "listen": listen, "enabled": enabled}
        return self._proxy(self.transport.call("POST", "/proxies", body))

    def populate(self, proxies: Iterable[Mapping[str, Any]]) -> list[Proxy]:
        """Create the proxies that are missing, and recreate those with other addresses."""
        existing = self.proxies()
        populated = []
        for wanted in proxies:
            held = existing.get(wanted["name"])
            if held and (held.listen, held.upstream) != (wanted["listen"], wanted["upstream"]):
                held.destroy()
                held = None
            populated.append(held or self.create(**wanted))
        return populated

    def close(self) -> None:
        """Give back the connections."""
        self.transport.close()

    def _proxy(self, state: Any) -> Proxy:  # noqa: ANN401  (the server's JSON)
        kinds = {"name": str, "listen": str, "upstream": str, "enabled": bool}
        return Proxy(self.transport, **fields(state, kinds, self.transport.url))
