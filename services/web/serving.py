"""Serve an application until SIGTERM, then let what is in flight finish."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pydantic.v1  # noqa: F401 - FastAPI loads it with its first route: a fork server pays once
import uvicorn
import uvicorn.lifespan.off
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.web import logs
from services.web.environment import Address, Common, ConfigurationError, Environment
from services.web.health import Health

log = logging.getLogger(__name__)
BACKLOG = 512
KEEP_ALIVE_S = 75
PAUSE_S = 1.0
CANCEL_AGAIN_S = 0.1
Background = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Everything that runs in one process. `finish` waits for what is in flight beside HTTP."""

    door: ASGIApp
    common: Common
    health: Health
    background: Sequence[Background] = ()
    more_addresses: Sequence[Address] = ()
    finish: Callable[[], None] | None = None


class _Server(uvicorn.Server):
    """uvicorn, except that it leaves the signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Touch no signal handler: SIGTERM must end in a clean exit, not in a second SIGTERM."""
        yield


def start(build: Callable[[Environment], Service]) -> None:
    """Build a service from the environment and serve it; exits with 2 on bad configuration."""
    environment = Environment(os.environ)
    try:
        service = build(environment)
    except ConfigurationError as error:
        sys.stderr.write(f"cannot start, the configuration is not usable:\n{error}\n")
        sys.exit(2)
    logs.configure(service.common.service, service.common.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(service))


async def _serve(service: Service) -> None:
    server = _Server(_config(service))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, server, service)
    sockets = [_listen(address) for address in (service.common.listen, *service.more_addresses)]
    tasks = [asyncio.create_task(_forever(work)) for work in service.background]
    try:
        await server.serve(sockets)
        if service.finish:
            await _within(service.common.profile.drain_s, service.finish)
    finally:
        await end(tasks)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel *tasks* until they are over.

    Once is not enough: on Python 3.11 `asyncio.wait_for`, which redis-py uses, swallows a
    cancellation that arrives together with its result (https://github.com/python/cpython/issues/86296).
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)


def _config(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        service.door,
        loop="none",
        http=HttpToolsProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(service.common.profile.drain_s),
    )


def _stop(server: _Server, service: Service) -> None:
    service.health.draining = True
    if not service.common.switches.on(f"{service.common.service}.drain"):
        os._exit(0)
    server.should_exit = True


def _listen(address: Address) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        sys.stderr.write(f"cannot listen on {address}: {error.strerror}\n")
        sys.exit(2)
    listener.listen(BACKLOG)
    return listener


async def _within(seconds: float, finish: Callable[[], None]) -> None:
    """Run *finish* on a thread that may be left behind when it takes longer than *seconds*."""
    done, loop = asyncio.Event(), asyncio.get_running_loop()

    def work() -> None:
        finish()
        with contextlib.suppress(RuntimeError):  # the loop is closed: it took too long
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=work, daemon=True).start()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await done.wait()


async def _forever(work: Background) -> None:
    """Run *work* to its end; what nobody expected is logged, and the work begun again."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("background work broke off")
            await asyncio.sleep(PAUSE_S)
        else:
            return
