"""Services in processes of their own, with one switch that does nothing where a check asks for that."""

import asyncio
import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.gateway import main as gateway_main
from services.orb_core import main as orb_core_main
from services.orb_core.servant import WidgetFactoryServant
from services.profiles import LAB
from services.resilience import Deadline, ResilienceError, Switches
from services.security import main as security_main
from services.web import environment
from services.widget_core import main as widget_core_main


def gateway() -> None:
    """Serve the gateway."""
    _stick()
    gateway_main.main()


def widget_core() -> None:
    """Serve Widget Core."""
    _stick()
    widget_core_main.main()


def security() -> None:
    """Serve the security service."""
    _stick()
    security_main.main()


def orb_core() -> None:
    """Serve ORB Core; its `echo` says that it has begun, and answers when it is told to."""
    begun, end = (Path(os.environ[name]) for name in ("ECHO_BEGUN", "ECHO_END"))

    def echo(_: Any, data: bytes) -> bytes:
        begun.touch()
        end.read_bytes()  # a pipe: somebody opens the other side
        return data

    _stick()
    WidgetFactoryServant.echo = echo
    orb_core_main.main()


def orb_call() -> None:
    """Ask ORB Core for something as Widget Core does, with the times that are given; ends when the call does."""
    _stick()
    times = {name: float(os.environ[name.upper()]) for name in ("attempt_s", "total_s")}
    edges = LAB.edges | {"orb-core": replace(LAB.edges["orb-core"], **times)}
    environment.PROFILES = {"lab": replace(LAB, edges=edges)}
    made, honest = [], widget_core_main.OrbCoreClient
    widget_core_main.OrbCoreClient = lambda *given, **more: made.append(honest(*given, **more)) or made[-1]
    widget_core_main.build(environment.Environment(os.environ))
    left = Deadline.never(time.monotonic).within(float(os.environ["LEFT_S"]))
    Path(os.environ["CALL_BEGUN"]).touch()
    with contextlib.suppress(ResilienceError):
        asyncio.run(made[0].usage(left))


def _stick() -> None:
    stuck, honest = os.environ.get("STUCK_SWITCH"), Switches.on
    Switches.on = lambda one, name: True if name == stuck else honest(one, name)
