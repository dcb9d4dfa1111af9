"""A few daemon threads for one dependency: what hangs there cannot take the others' threads."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """Run blocking calls on threads of their own. Threads start with the first call.

    They are daemons: a process whose dependency hangs can still end.
    """

    def __init__(self, name: str, count: int) -> None:
        """Start nothing yet."""
        self._name = name
        self._count = count
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.busy = 0

    async def run(self, job: Callable[[], T]) -> T:
        """Return what *job* returns, run on one of the threads."""
        if self.busy >= len(self._threads) and len(self._threads) < self._count:
            self._grow()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.busy += 1
        self._jobs.put((job, future))
        return await future

    def _grow(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                result, error = job(), None
            except BaseException as raised:  # noqa: BLE001 - it belongs to whoever waits
                result, error = None, raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                future.get_loop().call_soon_threadsafe(self._finish, future, result, error)

    def _finish(self, future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
        self.busy -= 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
