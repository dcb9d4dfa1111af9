"""A thread that goes on changing things until its fault is healed, by whomever."""

from __future__ import annotations

import threading
from collections.abc import Callable

from chaos.clock import NS_PER_S, now_ns
from chaos.errors import LabError

STOPS_WITHIN_S = 30.0


class Background:
    """Calls *step* on a thread; each call returns after how many seconds it wants the next, None for never.

    Args:
        step: raises LabError to give up; that error comes out of ``stop``.
    """

    def __init__(self, step: Callable[[], float | None]) -> None:
        self._step = step
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: LabError | None = None
        self._deadline_ns = 0

    def start(self, after_s: float | None, at_most_s: float) -> None:
        """Make the first call *after_s* from now, and none once *at_most_s* have passed."""
        self._deadline_ns = now_ns() + int(at_most_s * NS_PER_S)
        self._thread = threading.Thread(target=self._run, args=[after_s], daemon=True)
        self._thread.start()

    @property
    def left_s(self) -> float:
        """Seconds until the maximum duration has passed."""
        return (self._deadline_ns - now_ns()) / NS_PER_S

    def stop(self) -> None:
        """Return when no call is under way and none will follow; raises what a call has raised."""
        self._stopping.set()
        if self._thread:
            self._thread.join(STOPS_WITHIN_S)
            if self._thread.is_alive():
                msg = f"a fault that varies in time did not stop within {STOPS_WITHIN_S:g} s"
                raise LabError(msg)
            self._thread = None
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure

    def _run(self, after_s: float | None) -> None:
        try:
            while after_s is not None and not self._stopping.wait(after_s) and self.left_s > 0:
                after_s = self._step()
        except LabError as error:
            self._failure = error
