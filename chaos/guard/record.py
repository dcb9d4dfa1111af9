"""The record of one lab's undos: the log on disk, and the guard that knows it too."""

from __future__ import annotations

from chaos.config import Config
from chaos.errors import LabError, UsageError
from chaos.guard import halt
from chaos.guard.log import Lab, UndoLog, forbidden
from chaos.guard.undo import Undo
from chaos.guard.watch import Guard


class GuardedRecord:
    """Writes undos into a log that is made with the first one, and tells the guard.

    Args:
        config: what may be touched.
        lab: where everything is.
        guard: this process's.
    """

    def __init__(self, config: Config, lab: Lab, guard: Guard) -> None:
        self._config = config
        self._lab = lab
        self._guard = guard
        self._log: UndoLog | None = None
        self._owed: set[int] = set()

    def enter(self, number: int, undo: Undo, at_most_s: float) -> None:
        """Return when *undo* is in the log and the guard has acknowledged it.

        Raises:
            HaltedError: a HALT file forbids faults.
            UsageError: *undo* touches what is not configured.
            LabError: it cannot be written, or the guard does not answer.
        """
        self.check()
        if problem := forbidden(self._config, undo):
            msg = f"refused: it {problem}"
            raise UsageError(msg)
        log = self._open()
        log.enter(number, undo, at_most_s)
        self._owed.add(number)
        self._guard.enter(log.path, number, {"undo": undo.model_dump(), "at_most_s": at_most_s})

    def strike(self, number: int, how: str) -> None:
        """Note in both that the change has been taken back."""
        self._owed.discard(number)
        if self._log:
            self._log.strike(number, how)
            self._guard.strike(self._log.path, number)

    def taken(self) -> dict[int, str]:
        """What the guard has healed by itself, and why."""
        return self._guard.taken(self._log.path) if self._log else {}

    def check(self) -> None:
        """Raise HaltedError for a HALT file, and LabError once the guard has healed something by itself."""
        halt.refuse(self._config.root)
        if taken := self.taken():
            msg = f"the guard has taken {len(taken)} fault(s) back: {'; '.join(dict.fromkeys(taken.values()))}"
            raise LabError(msg)

    def hand_over(self) -> None:
        """Make the log the guard's own, so that nobody takes it for one that was left behind; raises LabError."""
        if self._log:
            self._guard.inherit(self._log.path)
            self._log.close(remove=False)
            self._log = None

    def close(self) -> None:
        """Remove the log when nothing is owed."""
        if not self._log:
            return
        settled = self._owed <= self.taken().keys()
        if settled:
            self._guard.forget(self._log.path)
        self._log.close(remove=settled)
        self._log = None

    def _open(self) -> UndoLog:
        if self._log is None:
            self._log = UndoLog.create(self._config.root, self._lab)
            self._guard.watch(self._log.path, {"lab": self._lab.model_dump(), "login": self._config.postgres_login()})
        return self._log
