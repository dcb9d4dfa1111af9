"""What the guard does to heal in one lab: undos by hand of another process, written down as done."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from chaos.errors import LabError
from chaos.guard.heal import heal_all
from chaos.guard.log import Lab, UndoLog, healing
from chaos.guard.outside import reach
from chaos.guard.undo import Undo, by_hand

_UNDO: Final[TypeAdapter[Undo]] = TypeAdapter(Undo)


class Healer:
    """Heals in one lab.

    Args:
        path: its undo log.
        lab: as the log names it.
        login: how to log in to its Postgres, if it has one; never on disk.
    """

    def __init__(self, path: Path, lab: Lab, login: dict[str, str] | None) -> None:
        self.path = path
        self._reach = reach(lab, login)

    def heal(
        self, owed: Mapping[int, Mapping[str, Any]], staying: Sequence[Mapping[str, Any]], why: str, *, settle: bool
    ) -> list[int]:
        """Heal *owed* and return the numbers that are healed and struck out; *staying* are left alone."""
        undos = {n: _UNDO.validate_python(undo) for n, undo in owed.items()}
        others = [_UNDO.validate_python(undo) for undo in staying]
        with healing(self.path):
            result = heal_all(undos, self._reach, staying=others, settle=settle)
            self._strike(result.healed, why)
        for number, how in result.healed.items():
            _say(f"{undos[number].by_hand()}: {how}, because {why}")
        for number, problem in result.failed.items():
            _say(f"{undos[number].by_hand()}: not healed: {problem}")
        return list(result.healed)

    def give_up(self, left: Sequence[Mapping[str, Any]]) -> None:
        """Say what is left for the next command, or for a person."""
        _say(by_hand(_UNDO.validate_python(undo) for undo in left))

    def _strike(self, healed: Mapping[int, str], why: str) -> None:
        with suppress(OSError, LabError):  # the fault is healed, whether or not that can be written
            log = UndoLog(self.path)
            for number, how in healed.items():
                log.strike(number, f"{how}, by the guard: {why}")
            log.close(remove=False)


def _say(text: str) -> None:
    with suppress(OSError):  # nobody hears it when the disk is full, and healing goes on
        sys.stderr.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}\n")
        sys.stderr.flush()
