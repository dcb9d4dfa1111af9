"""What takes a fault back, as values that outlive the process that injected it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from chaos.errors import ProxyError
from chaos.guard.reach import Reach
from chaos.proxies import Proxy

COMMIT_GATE: Final = "chaos_lab_commit_gate"
"""The function that holds transactions inside their COMMIT; see ``chaos.faults.at_commit``."""

GATE_LOCK: Final = 7_702_511
"""The advisory lock that they wait for there, while the lab holds it."""

DONE: Final = "undone"
"""The gentle way, which touches nothing else."""

RESTARTED: Final = "undone by restarting Toxiproxy"
"""The last way, which ends all faults there."""


_END_GATE_HOLDER: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks"  # noqa: S608  (a constant of ours)
    f" WHERE locktype = 'advisory' AND objid = {GATE_LOCK} AND mode = 'ExclusiveLock' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

_PROGRAMS: Final = {"redis": "redis-server|valkey-server"}
"""What the kernel calls a process whose program has another name."""


Way = Callable[[Reach, Sequence["Undo"]], None]


class _Undo(BaseModel):
    """Takes one change back. Performing it twice, or without the change, does no harm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def on(self) -> str:
        """The edge or process that it heals."""
        raise NotImplementedError

    def perform(self, reach: Reach, others: Sequence[Undo]) -> None:
        """Take the change back; *others* are the undos that are still owed."""
        raise NotImplementedError

    def ways(self) -> tuple[tuple[str, Way], ...]:
        """How to do it, the gentlest way first, each with what to call it afterwards."""
        return ((DONE, self.perform),)

    def in_effect(self, reach: Reach, others: Sequence[Undo]) -> bool:
        """Whether the change can be seen to be (still, or again) in effect; raises LabError."""
        del reach, others
        return False

    def by_hand(self) -> str:
        """The shell command that does the same."""
        raise NotImplementedError


class _OnProxy(_Undo):
    """Takes a change of one proxy back."""

    toxiproxy: str
    proxy: str

    @property
    def on(self) -> str:
        """The edge that it heals."""
        return self.proxy

    def ways(self) -> tuple[tuple[str, Way], ...]:
        """The control plane may hang or refuse, so there are three ways."""
        return (
            (DONE, self.perform),
            ("undone by making the proxy anew", self.recreate),
            (RESTARTED, self.restart),
        )

    def recreate(self, reach: Reach, others: Sequence[Undo]) -> None:
        """Delete the proxy and make it again, with what *others* still hold on it."""
        server = reach.toxiproxy(self.toxiproxy)
        held = server.get_proxy(self.proxy)
        place = reach.places.get(self.proxy)
        if held is None and place is None:
            return
        kept = [t for t in held.toxics().values() if t.name in _toxics(self.proxy, others)] if held else []
        listen, upstream = (held.listen, held.upstream) if held else (place.listen, place.upstream)  # type: ignore[union-attr]
        if held:
            held.destroy()
        body = {"name": self.proxy, "listen": listen, "upstream": upstream}
        try:
            made = server.create(upstream, self.proxy, listen, enabled=not _is_down(self.proxy, others))
        except ProxyError as error:
            command = f"curl -X POST -d {shlex.quote(json.dumps(body))} {shlex.quote(f'{server.url}/proxies')}"
            msg = f"{error}; {self.proxy} is without its proxy, first of all make it anew:\n  {command}\n"
            raise ProxyError(msg) from error
        for toxic in kept:
            made.add_toxic(
                type=toxic.type,
                stream=toxic.stream,
                name=toxic.name,
                toxicity=toxic.toxicity,
                attributes=toxic.attributes,
            )

    def restart(self, reach: Reach, others: Sequence[Undo]) -> None:
        """Restart the server; what *others* hold on it is gone as well."""
        del others
        reach.restart(self.toxiproxy)

    def _held(self, reach: Reach) -> Proxy | None:
        return reach.toxiproxy(self.toxiproxy).get_proxy(self.proxy)

    def _require(self, reach: Reach) -> Proxy:
        """The proxy, without which the edge is dead, whatever else was on it; raises ProxyError."""
        if (proxy := self._held(reach)) is None:
            msg = f"Toxiproxy holds no proxy {self.proxy!r} any more"
            raise ProxyError(msg)
        return proxy

    def _url(self, path: str = "") -> str:
        return shlex.quote(f"{self.toxiproxy}/proxies/{self.proxy}{path}")


class RemoveToxic(_OnProxy):
    """Take one toxic out of one proxy."""

    kind: Literal["remove-toxic"] = "remove-toxic"
    toxic: str

    def perform(self, reach: Reach, others: Sequence[Undo]) -> None:
        """Remove it; *others* do not matter, because every toxic has a name of its own."""
        try:
            removed = reach.toxiproxy(self.toxiproxy).handle(self.proxy).destroy_toxic(self.toxic)
        except ProxyError:
            if self.in_effect(reach, others):  # or else somebody has removed it at the same time
                raise
            removed = False
        if not removed:
            self._require(reach)

    def in_effect(self, reach: Reach, others: Sequence[Undo]) -> bool:
        """Whether the proxy has the toxic."""
        del others
        proxy = self._held(reach)
        return proxy is not None and proxy.get_toxic(self.toxic) is not None

    def by_hand(self) -> str:
        """Delete the toxic."""
        return f"curl -X DELETE {self._url(f'/toxics/{self.toxic}')}"


class Enable(_OnProxy):
    """Let a proxy listen again."""

    kind: Literal["enable"] = "enable"

    def perform(self, reach: Reach, others: Sequence[Undo]) -> None:
        """Enable it, unless another of the open undos holds it down too."""
        if self in others:
            return
        self._require(reach).enable()

    def in_effect(self, reach: Reach, others: Sequence[Undo]) -> bool:
        """Whether the proxy does not listen, and nobody else wants that."""
        proxy = self._held(reach)
        return self not in others and proxy is not None and not proxy.enabled

    def by_hand(self) -> str:
        """Patch the proxy."""
        return f"""curl -X PATCH -d '{{"enabled": true}}' {self._url()}"""


class Resume(_Undo):
    """Let a paused process go on."""

    kind: Literal["resume"] = "resume"
    process: str

    @property
    def on(self) -> str:
        """The process that it heals."""
        return self.process

    def perform(self, reach: Reach, others: Sequence[Undo]) -> None:
        """Resume it, unless another of the open undos holds it."""
        if self not in others:
            reach.processes.resume(self.process)

    def in_effect(self, reach: Reach, others: Sequence[Undo]) -> bool:
        """Whether it stands still, and nobody else wants that."""
        return self not in others and reach.processes.look(self.process).paused

    def by_hand(self) -> str:
        """Send it SIGCONT."""
        return f"kill -CONT $(pgrep -x {shlex.quote(_PROGRAMS.get(self.process, self.process[:15]))})"


class Start(_Undo):
    """Start a process that a fault ended.

    Attributes:
        process: its name.
        held: whether the fault keeps it dead until then; one that restarts it does not.
    """

    kind: Literal["start"] = "start"
    process: str
    held: bool = True

    @property
    def on(self) -> str:
        """The process that it heals."""
        return self.process

    def perform(self, reach: Reach, others: Sequence[Undo]) -> None:
        """Start it, unless another of the open undos holds it dead; one that holds it paused still does."""
        if Start(process=self.process) in others:
            return
        reach.processes.start(self.process)
        if Resume(process=self.process) in others:
            reach.processes.pause(self.process)

    def in_effect(self, reach: Reach, others: Sequence[Undo]) -> bool:
        """Whether it is dead, and nobody else wants that."""
        return Start(process=self.process) not in others and reach.processes.look(self.process).ended

    def by_hand(self) -> str:
        """There is no command for it."""
        return f"# start {self.process} again, or the whole platform: chaos-lab up"


class DropCommitGate(_Undo):
    """Let transactions commit without waiting for the lab."""

    kind: Literal["drop-commit-gate"] = "drop-commit-gate"

    @property
    def on(self) -> str:
        """The process that it heals."""
        return "postgres"

    def perform(self, reach: Reach, others: Sequence[Undo]) -> None:
        """End the session that holds transactions at the gate, then drop the gate: they hold the table."""
        del others
        reach.execute(self._statement)

    def by_hand(self) -> str:
        """Drop it with psql."""
        return f'psql -c "{self._statement}"'

    @property
    def _statement(self) -> str:
        return f"{_END_GATE_HOLDER}; DROP FUNCTION IF EXISTS {COMMIT_GATE}() CASCADE"


class Stop(_Undo):
    """Takes nothing back: a fault that varies in time goes on only as long as this is owed."""

    kind: Literal["stop"] = "stop"
    fault: str

    @property
    def on(self) -> str:
        """Nothing: what it breaks at a time has undos of its own."""
        return ""

    def perform(self, reach: Reach, others: Sequence[Undo]) -> None:
        """That it is struck out is enough."""

    def by_hand(self) -> str:
        """Nothing of it is left without its runner."""
        return f"# {self.fault} ends with its runner"


Undo = Annotated[RemoveToxic | Stop | Enable | Resume | Start | DropCommitGate, Field(discriminator="kind")]


def by_hand(undos: Iterable[Undo]) -> str:
    """What is left, as shell commands."""
    return "\n".join(["undo it by hand:", *(f"  {line}" for line in dict.fromkeys(u.by_hand() for u in undos))])


def _toxics(proxy: str, undos: Iterable[Undo]) -> set[str]:
    return {undo.toxic for undo in undos if isinstance(undo, RemoveToxic) and undo.proxy == proxy}


def _is_down(proxy: str, undos: Iterable[Undo]) -> bool:
    return any(isinstance(undo, Enable) and undo.proxy == proxy for undo in undos)
