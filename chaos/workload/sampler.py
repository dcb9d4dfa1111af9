"""Looks at services, edges and clients at more than 10 Hz, on the history's clock, beside the load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from chaos.clock import NS_PER_MS, NS_PER_S, now_ns
from chaos.history import HICCUP, Recorder, Sample
from chaos.lab import Lab
from chaos.probes import connections
from chaos.workload.answers import Answer
from chaos.workload.gauge import Gauge
from chaos.workload.wire import Wire

SAMPLE_EVERY_S: Final = 0.08
LOOK_WITHIN_S: Final = 0.5
HICCUP_EVERY_NS: Final = 5 * NS_PER_MS
HICCUP_MIN_NS: Final = 5 * NS_PER_MS

_NOISE: Final = ("#", "python_", "process_")
_HISTOGRAMS: Final = ("_bucket{", "_created{", "_created ")


class Sampler:
    """Writes the series until it is cancelled; whatever does not answer leaves a gap.

    Args:
        lab: whose services and edges to look at.
        recorder: takes the samples.
        wire: carries the questions.
        gauges: the clients' own counts.
    """

    def __init__(self, lab: Lab, recorder: Recorder, wire: Wire, gauges: Sequence[Gauge]) -> None:
        self._lab = lab
        self._recorder = recorder
        self._wire = wire
        self._gauges = gauges

    async def run(self) -> None:
        """Look at everything; each has its own turn, so that no two hold up the load at once."""
        services = self._lab.config.settings.services
        looks: list[Callable[[], Awaitable[None]]] = [
            self._service(name, f"http://{self._lab.address(name)}{spec.metrics}") for name, spec in services.items()
        ]
        looks += [self._connections, self._proxies, self._clients]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feel_hiccups())
            for number, look in enumerate(looks):
                group.create_task(self._again(look, SAMPLE_EVERY_S * number / len(looks)))

    async def _again(self, look: Callable[[], Awaitable[None]], delay_s: float) -> None:
        """Take a *look* in each period; one that takes longer skips the periods it missed."""
        clock = asyncio.get_running_loop().time
        due = clock() + delay_s
        while True:
            await asyncio.sleep(due - clock())
            await look()
            due += SAMPLE_EVERY_S * max(1, -(-(clock() - due) // SAMPLE_EVERY_S))

    def _service(self, name: str, url: str) -> Callable[[], Awaitable[None]]:
        """How to look at the metrics of the service *name*."""

        async def look() -> None:
            time_ns = now_ns()
            if answer := await self._asked(url):
                text = answer.body.decode(errors="replace")
                self._record(time_ns, name, parse_metrics(text))

        return look

    async def _connections(self) -> None:
        """Count the connections to every proxy with the kernel's eyes, not the services'.

        In a thread: the kernel takes about 5 ms to list them, in which the load goes on.
        """
        time_ns, edges = now_ns(), self._lab.edges()
        counts = await asyncio.to_thread(connections, [edge.listen for edge in edges])
        values = {f'edge_connections{{edge="{edge.name}"}}': float(counts[edge.listen]) for edge in edges}
        self._record(time_ns, "edges", values)

    async def _proxies(self) -> None:
        """Ask Toxiproxy once what it does with every edge."""
        time_ns = now_ns()
        answer = await self._asked(f"{self._lab.toxiproxy.transport.url}/proxies")
        if answer:
            try:
                values = dict(_proxy_values(answer.json().values()))
            except (AttributeError, LookupError, TypeError, ValueError):
                return  # not Toxiproxy's: it is in trouble
            self._record(time_ns, "edges", values)

    async def _clients(self) -> None:
        time_ns = now_ns()
        values: dict[str, float] = {}
        for gauge in self._gauges:
            values |= gauge.look(time_ns)
        self._record(time_ns, "clients", values)

    async def _feel_hiccups(self) -> None:
        """Note each time in which the lab's own loop stood still: nobody could see an answer then."""
        while True:
            due_ns = now_ns() + HICCUP_EVERY_NS
            await asyncio.sleep(HICCUP_EVERY_NS / NS_PER_S)
            if (late_ns := now_ns() - due_ns) > HICCUP_MIN_NS:
                self._record(due_ns, "lab", {HICCUP: late_ns / NS_PER_MS})

    async def _asked(self, url: str) -> Answer | None:
        """The answer of *url*, None when there is none in time."""
        try:
            return await self._wire.send("GET", url, {}, within_s=LOOK_WITHIN_S)
        except (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError):
            return None

    def _record(self, time_ns: int, service: str, values: dict[str, float]) -> None:
        self._recorder.sample(Sample(time_ns=time_ns, service=service, values=values))


def _proxy_values(proxies: Iterable[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """Whether each proxy listens, and every attribute of its toxics, by name and labels."""
    for proxy in proxies:
        edge = f'edge="{proxy["name"]}"'
        yield f"edge_enabled{{{edge}}}", float(proxy["enabled"])
        yield f"edge_toxics{{{edge}}}", float(len(proxy["toxics"]))
        for toxic in proxy["toxics"]:
            for attribute, value in {"toxicity": toxic["toxicity"], **toxic["attributes"]}.items():
                yield f'edge_toxic{{{edge},toxic="{toxic["name"]}",attribute="{attribute}"}}', float(value)


def parse_metrics(text: str) -> dict[str, float]:
    """Values by name and labels from Prometheus text, without histogram buckets and Python's own.

    Lines that are no samples are left out; the format is the exposition format 0.0.4.
    """
    values = {}
    for line in text.splitlines():
        if line.startswith(_NOISE) or any(part in line for part in _HISTOGRAMS):
            continue
        name, _, value = line.rpartition(" ")
        try:
            values[name] = float(value)
        except ValueError:
            continue
    return values
