"""One proxy and its toxics, as the server holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal
from urllib.parse import quote

import toxiproxy.proxy
import toxiproxy.toxic

from chaos.clock import NS_PER_S, now_ns, sleep_until
from chaos.errors import NotHeldError, ProxyError, ProxyTimeoutError
from chaos.proxies.transport import Transport, field, fields

Stream = Literal["upstream", "downstream"]

SETTLE_S: Final = 0.05

STUCK_S: Final = 0.4
"""A change of a toxic that takes longer will not come: Toxiproxy waits for a lock that nobody gives back."""

ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "latency": frozenset({"latency", "jitter"}),
    "bandwidth": frozenset({"rate"}),
    "slow_close": frozenset({"delay"}),
    "timeout": frozenset({"timeout"}),
    "reset_peer": frozenset({"timeout"}),
    "slicer": frozenset({"average_size", "size_variation", "delay"}),
    "limit_data": frozenset({"bytes"}),
}
"""The attributes of each kind of toxic."""

HOLD_DATA: Final = frozenset({"latency", "bandwidth", "slicer"})
"""Taking these out of a busy connection can block the whole control plane for 25 s, unless they are
first told to take hold of nobody and what they hold has drained."""


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
        held = self._transport.call("GET", f"{self._path}/toxics")
        if not isinstance(held, list):
            msg = f"{self.name}: expected a list of toxics, got {held!r:.200}"
            raise ProxyError(msg)
        return {toxic.name: toxic for toxic in (_toxic(state, self.name) for state in held)}

    def get_toxic(self, toxic_name: str) -> Toxic | None:
        """The toxic of that name, or None."""
        try:
            return _toxic(self._transport.call("GET", self._toxic_path(toxic_name)), self.name)
        except NotHeldError:
            return None

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

    def relax_toxic(self, toxic_name: str) -> None:
        """Let a toxic that may hold data back do nothing, so that it can soon be taken out."""
        state = self._state()
        if state and toxic_name in state["toxics"]:
            try:
                self._relax(state["toxics"][toxic_name])
            except ProxyTimeoutError:
                self._make_anew(state, without=toxic_name)

    def destroy_toxic(self, toxic_name: str) -> bool:
        """Remove a toxic so that the control plane cannot block; False when there was none.

        Where it blocks nevertheless, because a client goes at that moment, the proxy is made anew with
        its other toxics, which closes its connections.
        """
        state = self._state()
        if not state or toxic_name not in state["toxics"]:
            return False
        path = self._toxic_path(toxic_name)
        try:
            self._relax(state["toxics"][toxic_name])
            sleep_until(self._transport.relaxed_ns.pop(path, 0) + int(SETTLE_S * NS_PER_S))
            with suppress(NotHeldError):  # somebody else has just removed it
                self._transport.call("DELETE", path, within_s=STUCK_S)
        except ProxyTimeoutError:
            self._make_anew(state, without=toxic_name)
        return True

    def _relax(self, toxic: Toxic) -> None:
        """Tell a toxic that holds data to take hold of nobody.

        Raising the rate of a ``bandwidth`` toxic instead kills the whole server when a client has gone
        in the middle of a reply.
        """
        if toxic.type in HOLD_DATA:
            path = self._toxic_path(toxic.name)
            if toxic.toxicity:
                self._transport.call("PATCH", path, {"toxicity": 0.0}, within_s=STUCK_S)
                self._transport.relaxed_ns[path] = now_ns()
            self._transport.relaxed_ns.setdefault(path, now_ns())

    def _state(self) -> dict[str, Any] | None:
        """The whole state in one call, its toxics by name; None when there is no such proxy."""
        try:
            held = self._transport.call("GET", self._path)
        except NotHeldError:
            return None
        state = fields(held, {"listen": str, "upstream": str, "enabled": bool, "toxics": list}, self.name)
        state["toxics"] = {toxic.name: toxic for toxic in (_toxic(each, self.name) for each in state["toxics"])}
        return state

    def _make_anew(self, state: Mapping[str, Any], without: str) -> None:
        self._transport.relaxed_ns.pop(self._toxic_path(without), None)
        self.destroy()
        body = {key: state[key] for key in ("listen", "upstream", "enabled")}
        self._transport.call("POST", "/proxies", {"name": self.name, **body})
        for toxic in state["toxics"].values():
            if toxic.name != without:
                kept = {key: getattr(toxic, key) for key in ("name", "type", "stream", "toxicity", "attributes")}
                self._transport.call("POST", f"{self._path}/toxics", kept)

    def disable(self) -> None:
        """Drop all connections and refuse new ones."""
        self._enable(enabled=False)

    def enable(self) -> None:
        """Listen again."""
        self._enable(enabled=True)

    def heal(self) -> None:
        """Remove its toxics, safely, and listen; a proxy that resists is made anew, which drops its connections."""
        try:
            toxics = self.toxics()
            for name in toxics:
                self.relax_toxic(name)
            for name in toxics:
                self.destroy_toxic(name)
            if not self.enabled:
                self.enable()
        except ProxyError:
            self.destroy()
            body = {"name": self.name, "listen": self.listen, "upstream": self.upstream, "enabled": True}
            self._transport.call("POST", "/proxies", body)
            self.enabled = True

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
        self.enabled = bool(field(state, "enabled", self.name))
        if self.enabled is not enabled:
            msg = f"{self.name}: asked for enabled={enabled}, the server says {self.enabled}"
            raise ProxyError(msg)

    def _toxic_path(self, toxic_name: str) -> str:
        return f"{self._path}/toxics/{quote(toxic_name, safe='')}"

    def _confirmed(self, wanted: Mapping[str, Any], held: Any) -> Toxic:  # noqa: ANN401  (the server's JSON)
        """Compare what the server *held* with what was *wanted*: it answers 200 to misspelt names."""
        actual = {key: field(held, key, self.name) for key in wanted}
        attributes = actual.pop("attributes")
        differing = [k for k, v in actual.items() if v != wanted[k]]
        held_attributes = attributes if isinstance(attributes, dict) else {}
        differing += [k for k, v in wanted["attributes"].items() if held_attributes.get(k) != v]
        if differing:
            msg = f"{self.name}: asked for {dict(wanted)}, the server holds {held}: {', '.join(differing)} differ"
            raise ProxyError(msg)
        return _toxic(held, self.name)


def _toxic(state: Any, who: str) -> Toxic:  # noqa: ANN401  (the server's JSON)
    kinds: dict[str, type | tuple[type, ...]] = {
        "name": str,
        "type": str,
        "stream": str,
        "toxicity": (int, float),
        "attributes": dict,
    }
    return Toxic(**fields(state, kinds, who))


def _toxic_problems(kind: str, toxicity: float, attributes: Mapping[str, int]) -> Iterator[str]:
    if kind not in ATTRIBUTES:
        yield f"no toxic is called {kind!r}; there are {', '.join(ATTRIBUTES)}"
        return
    if not 0 <= toxicity <= 1:
        yield f"toxicity {toxicity!r} is not between 0 and 1"
    for name, value in attributes.items():
        if name not in ATTRIBUTES[kind]:
            yield f"{kind} has no attribute {name!r}; it has {', '.join(sorted(ATTRIBUTES[kind]))}"
        elif not isinstance(value, int) or value < 0:
            yield f"{kind} {name} {value!r} is not a whole number of 0 or more"
