"""A dry run: what would be sent to Toxiproxy is written down and goes nowhere."""

from __future__ import annotations

import signal
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from chaos.config import Config, ProxySpec
from chaos.errors import NotHeldError
from chaos.faults.fault import Fault, effect_of
from chaos.guard.keeper import Keeper
from chaos.lab import Lab
from chaos.processes.control import Processes
from chaos.processes.handle import Handle
from chaos.processes.supervisor import Look
from chaos.proxies import Transport
from chaos.stacks.attached import attach


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """One request to Toxiproxy, or what is done to a process, and what it is part of: "inject" or "heal"."""

    step: str
    method: str
    url: str
    body: object

    def as_json(self) -> dict[str, object]:
        """The same as a dict."""
        return asdict(self)


class Rehearsal(Transport):
    """Answers as a Toxiproxy would on which nobody has injected anything, and sends nothing.

    Args:
        url: of the Toxiproxy that is meant.
        proxies: the edges that it holds.
    """

    def __init__(self, url: str, proxies: Mapping[str, ProxySpec]) -> None:
        super().__init__(url)
        self.step = "inject"
        self.sent: list[Sent] = []
        self._proxies = {name: spec.model_dump() for name, spec in proxies.items()}
        self._toxics: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in proxies}

    def call(self, method: str, path: str, body: object = None, within_s: float | None = None) -> Any:  # noqa: ANN401  (JSON)
        """Write the request down, and answer it."""
        del within_s
        self.sent.append(Sent(step=self.step, method=method, url=self.url + path, body=body))
        _, _, proxy, *rest = [*map(unquote, path.split("/")), ""]
        change: dict[str, Any] = dict(body) if isinstance(body, dict) else {}
        if path == "/version":
            return {"version": "rehearsal"}
        if path == "/proxies":
            return self._proxies
        if rest[0] == "toxics":
            return self._toxic(self._toxics[proxy], method, rest[1], change)
        self._proxies[proxy] |= change
        return self._proxies[proxy] | {"toxics": [*self._toxics[proxy].values()]}

    @staticmethod
    def _toxic(held: dict[str, dict[str, Any]], method: str, name: str, change: dict[str, Any]) -> Any:  # noqa: ANN401
        if method == "GET" and not name:
            return list(held.values())
        if method in {"GET", "DELETE"} and name not in held:
            msg = f"no toxic is called {name!r}"
            raise NotHeldError(msg)
        if method == "DELETE":
            return held.pop(name) and None
        held[change.get("name", name)] = held.get(name, {}) | change
        return held[change.get("name", name)]


class RehearsedProcesses:
    """The processes of a lab as they are; what would be done to them is written down, and they go on.

    Args:
        processes: the real ones, which are only looked at.
        rehearsal: what is written down so far.
    """

    def __init__(self, processes: Processes, rehearsal: Rehearsal) -> None:
        self._processes = processes
        self._rehearsal = rehearsal

    def names(self) -> Collection[str]:
        """Those that may be hit; raises as it would."""
        return self._processes.names()

    def handles(self) -> Mapping[str, Handle]:
        """Those of the real ones."""
        return self._processes.handles()

    def look(self, name: str) -> Look:
        """How it is now."""
        return self._processes.look(name)

    def kill(self, name: str) -> None:
        """Write it down; this and the others."""
        self._note("KILL", name)

    def pause(self, name: str) -> None:
        """See ``kill``."""
        self._note("PAUSE", name)

    def resume(self, name: str) -> None:
        """See ``kill``."""
        self._note("RESUME", name)

    def start(self, name: str) -> None:
        """See ``kill``."""
        self._note("START", name)

    def restart(self, name: str, number: signal.Signals | None) -> None:
        """See ``kill``; without a *number* it ends in good order."""
        self._note("RESTART", name, {"signal": number.name} if number else {})

    def _note(self, verb: str, name: str, more: Mapping[str, str] = MappingProxyType({})) -> None:
        body = {"pid": self.look(name).pid, **more} if self._rehearsal.step == "inject" else None
        self._rehearsal.sent.append(
            Sent(step=self._rehearsal.step, method=verb, url=f"process:{name}", body=body),
        )


def rehearse(fault: Fault, config: Config, on: str, at_most_s: float) -> list[Sent]:
    """Every request that injecting *fault* and healing it again would send, in order; raises as they would."""
    stack = attach(config)
    rehearsal = Rehearsal(stack.toxiproxy_url, stack.proxies)
    acted = replace(stack, control=RehearsedProcesses(stack.control, rehearsal))
    lab = Lab(config, acted, keeper=lambda reach: Keeper(replace(reach, places={}, doors={})))  # nothing to be proved
    lab.toxiproxy.transport = rehearsal
    try:
        lab.require_toxiproxy()
        effect = effect_of(fault, lab, on)
        effect.begin(at_most_s)
        rehearsal.step = "heal"
        effect.heal()
        for edge in lab.touched(effect.on):
            lab.read_back(edge)
    finally:
        stack.close()
    return rehearsal.sent
