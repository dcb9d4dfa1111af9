"""What a lab needs to know of however its processes are run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from chaos.config import ProxySpec
from chaos.processes.control import Processes, Running


class Stack(Protocol):
    """A running platform, as a lab sees it."""

    @property
    def ports(self) -> Mapping[str, int]:
        """The port of everything, by the names of ``Config.ports``."""

    @property
    def toxiproxy_url(self) -> str:
        """The API of its Toxiproxy."""

    @property
    def processes(self) -> Mapping[str, Running]:
        """What runs, by name."""

    @property
    def control(self) -> Processes:
        """What process faults do to them."""

    @property
    def proxies(self) -> Mapping[str, ProxySpec]:
        """The edges by name, on this stack's addresses."""

    def close(self) -> None:
        """End everything that the stack started."""
