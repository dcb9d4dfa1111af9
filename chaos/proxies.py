"""Toxiproxy's control plane: toxiproxy-python's classes on a transport that cannot hang or lie.

The package toxiproxy-python has no timeouts, keeps its address in a class attribute, turns a 5xx
into ``KeyError`` and does not notice a change that the server ignored. Its names are kept
(``get_proxy``, ``add_toxic``, ``destroy_toxic``, ``down``) and everything below them is replaced:
one session per server, a deadline on each call, PATCH for updates, every change read back, typed
errors. No other module imports it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal
from urllib.parse import quote

import requests
import toxiproxy.proxy
import toxiproxy.server
import toxiproxy.toxic

from chaos.errors import ProxyError, ProxyTimeoutError

Stream = Literal["upstream", "downstream"]

CALL_WITHIN_S: Final = 2.0
SETTLE_S: Final = 0.05

ATTRIBUTES: Final[Mapping[str, Mapping[str, int]]] = {
    "latency": {"latency": 0, "jitter": 0},
    "bandwidth": {"rate": 1_000_000_000},
    "slow_close": {"delay": 0},
    "timeout": {"timeout": 0},
    "reset_peer": {"timeout": 0},
    "slicer": {"average_size": 1_000_000, "size_variation": 0, "delay": 0},
    "limit_data": {"bytes": 1_000_000_000_000},
}
"""The attributes of each kind of toxic, and the values at which it does next to nothing."""

# Taking these out of a busy connection can block the whole control plane for 25 s, unless they
# are first patched to do nothing and what they hold has drained.
_HOLD_DATA: Final = frozenset({"latency", "bandwidth", "slicer"})


class Transport:
    """HTTP to one Toxiproxy server, each call with a deadline.

    Args:
        url: such as ``http://127.0.0.1:8474``.
        within_s: seconds that one call may take.
    """

    def __init__(self, url: str, within_s: float = CALL_WITHIN_S) -> None:
        self.url = url.rstrip("/")
        self.within_s = within_s
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  (JSON)
        """Send one request and return the decoded answer, None when it has no body.

        Raises:
            ProxyTimeoutError: no answer within the deadline.
            ProxyError: not reachable, an error status, or an answer that is not JSON.
        """
        what = f"{method} {self.url}{path}"
        try:
            response = self._session.request(method, self.url + path, json=body, timeout=self.within_s)
        except requests.Timeout as error:
            msg = f"{what}: no answer within {self.within_s:g} s"
            raise ProxyTimeoutError(msg) from error
        except requests.RequestException as error:
            msg = f"{what}: {error}"
            raise ProxyError(msg) from error
        if not response.ok:
            msg = f"{what}: {response.status_code} {response.text.strip()[:200]!r}"
            raise ProxyError(msg)
        return _decoded(response, what)

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()


class Toxic(toxiproxy.toxic.Toxic):  # type: ignore[misc]  # the package has no types
    """One toxic as the server holds it."""

    name: str
    type: str
    stream: Stream
    toxicity: float
    attributes: Mapping[str, int]

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v}" for k, v in self.attributes.items())
        return f"{self.type}({inner}) {self.stream} toxicity {self.toxicity:g}"


class Proxy(toxiproxy.proxy.Proxy):  # type: ignore[misc]  # the package has no types
    """One proxy; its state is the server's, asked for each time."""

    name: str
    listen: str
    upstream: str
    enabled: bool

    def __init__(self, transport: Transport, **state: Any) -> None:  # noqa: ANN401  (the server's JSON)
        super().__init__(**state)
        self._transport = transport
        self._path = f"/proxies/{quote(self.name, safe='')}"

    def toxics(self) -> dict[str, Toxic]:
        """The toxics on this proxy by name."""
        return {t["name"]: Toxic(**t) for t in self._transport.call("GET", f"{self._path}/toxics")}

    def get_toxic(self, toxic_name: str) -> Toxic | None:
        """The toxic of that name, or None."""
        return self.toxics().get(toxic_name)

    def add_toxic(
        self,
        *,
        type: str,  # noqa: A002  (toxiproxy-python's name)
        stream: Stream = "downstream",
        name: str | None = None,
        toxicity: float = 1.0,
        attributes: Mapping[str, int] | None = None,
    ) -> Toxic:
        """Add a toxic and return it as the server now holds it.

        Args:
            type: a key of ATTRIBUTES.
            stream: "downstream" for replies, "upstream" for requests.
            name: default ``<type>_<stream>``.
            toxicity: share of new connections that it takes hold of, 0 to 1.
            attributes: in milliseconds, kB/s or bytes, as in ATTRIBUTES.

        Raises:
            ProxyError: a value that Toxiproxy would misread, or another state than asked for.
        """
        wanted: dict[str, Any] = {
            "name": name or f"{type}_{stream}",
            "type": type,
            "stream": stream,
            "toxicity": toxicity,
            "attributes": dict(attributes or {}),
        }
        if problems := [*_toxic_problems(type, toxicity, wanted["attributes"])]:
            raise ProxyError(f"{self.name}: " + "; ".join(problems))
        return self._confirmed(wanted, self._transport.call("POST", f"{self._path}/toxics", wanted))

    def update_toxic(
        self, toxic_name: str, *, toxicity: float | None = None, attributes: Mapping[str, int] | None = None
    ) -> Toxic:
        """Change a toxic in place; each change draws anew which connections it takes hold of."""
        wanted: dict[str, Any] = {"attributes": dict(attributes or {})}
        if toxicity is not None:
            wanted["toxicity"] = toxicity
        return self._confirmed(wanted, self._transport.call("PATCH", self._toxic_path(toxic_name), wanted))

    def destroy_toxic(self, toxic_name: str) -> bool:
        """Remove a toxic so that the control plane cannot block; False when there was none."""
        toxic = self.get_toxic(toxic_name)
        if toxic is None:
            return False
        if toxic.type in _HOLD_DATA:
            self.update_toxic(toxic_name, attributes=ATTRIBUTES[toxic.type])
            time.sleep(SETTLE_S)
        self._transport.call("DELETE", self._toxic_path(toxic_name))
        return True

    def disable(self) -> None:
        """Drop all connections and refuse new ones."""
        self._enable(enabled=False)

    def enable(self) -> None:
        """Listen again."""
        self._enable(enabled=True)

    def heal(self) -> None:
        """Remove its toxics, safely, and listen."""
        for name in self.toxics():
            self.destroy_toxic(name)
        if not self.enabled:
            self.enable()

    @contextmanager
    def down(self) -> Iterator[Proxy]:
        """Refuse connections inside the block; listen again after it, whatever happened."""
        try:
            self.disable()
            yield self
        finally:
            self.enable()

    def destroy(self) -> bool:
        """Delete the proxy itself."""
        self._transport.call("DELETE", self._path)
        return True

    def _enable(self, *, enabled: bool) -> None:
        state = self._transport.call("PATCH", self._path, {"enabled": enabled})
        self.enabled = bool(_field(state, "enabled", self.name))
        if self.enabled is not enabled:
            msg = f"{self.name}: asked for enabled={enabled}, the server says {self.enabled}"
            raise ProxyError(msg)

    def _toxic_path(self, toxic_name: str) -> str:
        return f"{self._path}/toxics/{quote(toxic_name, safe='')}"

    def _confirmed(self, wanted: Mapping[str, Any], held: Any) -> Toxic:  # noqa: ANN401  (the server's JSON)
        """Compare what the server *held* with what was *wanted*: it answers 200 to misspelt names."""
        actual = {key: _field(held, key, self.name) for key in wanted}
        attributes = actual.pop("attributes")
        differing = [k for k, v in actual.items() if v != wanted[k]]
        differing += [k for k, v in wanted["attributes"].items() if attributes.get(k) != v]
        if differing:
            msg = f"{self.name}: asked for {dict(wanted)}, the server holds {held}: {', '.join(differing)} differ"
            raise ProxyError(msg)
        return Toxic(**held)


class Toxiproxy(toxiproxy.server.Toxiproxy):  # type: ignore[misc]  # the package has no types
    """One Toxiproxy server.

    Args:
        url: of its API, such as ``http://127.0.0.1:8474``.
        within_s: seconds that one call may take.
    """

    def __init__(self, url: str, within_s: float = CALL_WITHIN_S) -> None:
        self.transport = Transport(url, within_s)

    def proxies(self) -> dict[str, Proxy]:
        """All proxies by name."""
        found = self.transport.call("GET", "/proxies")
        if not isinstance(found, dict):
            msg = f"{self.transport.url} does not answer like Toxiproxy: {found!r:.100}"
            raise ProxyError(msg)
        return {name: self._proxy(state) for name, state in found.items()}

    def get_proxy(self, proxy_name: str) -> Proxy | None:
        """The proxy of that name, or None."""
        return self.proxies().get(proxy_name)

    def running(self) -> bool:
        """Whether a Toxiproxy answers there."""
        try:
            return bool(self.version())
        except ProxyError:
            return False

    def version(self) -> str:
        """The server's version."""
        return str(_field(self.transport.call("GET", "/version"), "version", self.transport.url))

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
        keys = ("name", "listen", "upstream", "enabled")
        return Proxy(self.transport, **{key: _field(state, key, self.transport.url) for key in keys})


def _decoded(response: requests.Response, what: str) -> Any:  # noqa: ANN401  (JSON)
    if not response.content:
        return None
    try:
        return response.json()
    except requests.JSONDecodeError as error:
        msg = f"{what}: answered {response.text[:100]!r}, which is not JSON"
        raise ProxyError(msg) from error


def _field(value: Any, key: str, who: str) -> Any:  # noqa: ANN401  (JSON)
    if not isinstance(value, dict) or key not in value:
        msg = f"{who}: expected an object with {key!r}, got {value!r:.200}"
        raise ProxyError(msg)
    return value[key]


def _toxic_problems(kind: str, toxicity: float, attributes: Mapping[str, int]) -> Iterator[str]:
    if kind not in ATTRIBUTES:
        yield f"no toxic is called {kind!r}; there are {', '.join(ATTRIBUTES)}"
        return
    if not 0 <= toxicity <= 1:
        yield f"toxicity {toxicity!r} is not between 0 and 1"
    for name, value in attributes.items():
        if name not in ATTRIBUTES[kind]:
            yield f"{kind} has no attribute {name!r}; it has {', '.join(ATTRIBUTES[kind])}"
        elif not isinstance(value, int) or value < 0:
            yield f"{kind} {name} {value!r} is not a whole number of 0 or more"
