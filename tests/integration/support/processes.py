"""The processes of the platform: killed, stopped, started again."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit

import psutil
import pytest

from chaos.stacks.embedded import Embedded, wait_healthy
from tests.integration.support.stack import NO_PROCESSES, Platform


@contextmanager
def killed(platform: Platform, service: str) -> Iterator[None]:
    """Kill *service*, such as "orb-core", with SIGKILL; start it again after the block and wait until it is healthy.

    Skips the test when the platform is attached.
    """
    if not platform.embedded or platform.lab is None:
        pytest.skip(NO_PROCESSES)
    own = cast("Embedded", platform.lab.stack)
    own.processes[service].stop(signal.SIGKILL)
    try:
        yield
    finally:
        own.spawn(service)
        wait_healthy(own, service)


def process_behind(url: str) -> psutil.Process:
    """The process that listens at *url*; skips the test when it is not one of this machine."""
    port = urlsplit(url).port
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid:
            return psutil.Process(connection.pid)
    pytest.skip(f"the process behind {url} cannot be seen from here")
