"""ORB Core by itself, in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from omniORB import CORBA

from services.idl import OrbCore
from tests.conformance.platform.stores import free_port, wait_until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def orb_core() -> Iterator:
    """Start ORB Core by itself; returns a function that starts it, and gives its ports and pid."""
    started = []

    def start(**more: str) -> dict[str, int]:
        ports = {name: free_port() for name in ("PORT", "IIOP_PORT", "METRICS_PORT")}
        env = {"PATH": os.environ["PATH"], "SERVICE_PROFILE": "lab"} | {k: str(v) for k, v in ports.items()} | more
        started.append(subprocess.Popen([sys.executable, "-m", "services.orb_core"], cwd=ROOT, env=env))
        wait_until(lambda: get(ports["PORT"], "/health") is not None, 15)
        return ports | {"pid": started[-1].pid}

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def get(port: int, path: str) -> str | None:
    """Return what is answered, None when nobody is there."""
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=2).text
    except requests.ConnectionError:
        return None


def dial(port: int):
    """Return the factory that is served there; its calls end after eight seconds."""
    orb = CORBA.ORB_init(["test", "-ORBclientCallTimeOutPeriod", "8000"], CORBA.ORB_ID)
    known = orb.string_to_object(f"corbaloc:iiop:1.2@127.0.0.1:{port}/WidgetFactory")
    return known._unchecked_narrow(OrbCore.WidgetFactory)
