"""Heals what runners left behind that are gone, and whose guards are gone too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from chaos.config import Config
from chaos.errors import HealError, LabError, UndoLogError
from chaos.guard.heal import HEAL_WITHIN_S, Healing, heal_all
from chaos.guard.log import Contents, UndoLog, healing, limits, paths, read, runner
from chaos.guard.outside import reach
from chaos.guard.undo import by_hand

Say = Callable[[str], None]

WHY: Final = "its runner and its guard are gone"


def waiting(root: Path) -> list[Path]:
    """The undo logs of the project *root* whose runner is gone."""
    return [path for path in paths(root) if not ((owner := runner(path)) and owner.lives())]


def heal(config: Config, say: Say) -> int:
    """Heal everything that is left over, saying so in one line for each runner; returns how much it was.

    Raises:
        UndoLogError: a log is damaged or names what may not be touched; the others are healed all the same.
        HealError: something could not be healed; carries the commands that do it by hand.
    """
    return _all(config, waiting(config.root), WHY, say)


def heal_living(config: Config, say: Say) -> int:
    """Heal what runners that live owe too: they have been told to and did not."""
    return _all(config, paths(config.root), "its runner did not heal it when told to", say)


def put_aside(config: Config, say: Say) -> list[Path]:
    """Rename the damaged logs, so that nobody reads them again, saying why; returns their new names."""
    moved = []
    for path in waiting(config.root):
        try:
            read(path, limits(config))
        except UndoLogError as error:
            moved.append(path.rename(path.with_suffix(".damaged")))
            say(f"put aside as {moved[-1].name}: {error}")
    return moved


def _all(config: Config, logs: list[Path], why: str, say: Say) -> int:
    problems: list[HealError] = []
    count = 0
    for path in logs:
        try:
            count += _one(config, path, why, say)
        except HealError as error:
            problems.append(error)
    raise_all(problems)
    return count


def raise_all(problems: Sequence[HealError]) -> None:
    """Raise *problems* as one, each text once, unless there are none."""
    if problems:
        kind = UndoLogError if all(isinstance(p, UndoLogError) for p in problems) else HealError
        raise kind("\n".join(dict.fromkeys(map(str, problems))))


def _one(config: Config, path: Path, why: str, say: Say) -> int:
    with healing(path, polite_s=HEAL_WITHIN_S):
        contents = read(path, limits(config))
        result = _healed(config, contents)
        _strike(path, result, why)
        if not result.failed and why is WHY:
            path.unlink(missing_ok=True)
    if result.healed:
        owner = runner(path)
        who = f"process {owner.pid}" if owner else path.name
        hows = ", ".join(dict.fromkeys(result.healed.values()))
        say(f"healed {len(result.healed)} fault(s) that {who} left behind ({hows})")
    if result.failed:
        raise _failure(path, contents, result)
    return len(result.healed)


def _healed(config: Config, contents: Contents) -> Healing:
    if contents.lab is None or not contents.owed:
        return Healing(healed={}, failed={})
    undos = {number: entry.undo for number, entry in contents.owed.items()}
    return heal_all(undos, reach(contents.lab, config.postgres_login()), settle=True)


def _strike(path: Path, result: Healing, why: str) -> None:
    with suppress(OSError, LabError):  # the fault is healed, whether or not that can be written
        log = UndoLog(path)
        for number, how in result.healed.items():
            log.strike(number, f"{how}, by a later command: {why}")
        log.close(remove=False)


def _failure(path: Path, contents: Contents, result: Healing) -> HealError:
    why = "; ".join(dict.fromkeys(result.failed.values()))
    left = [contents.owed[number].undo for number in result.failed]
    return HealError(f"{len(left)} fault(s) of {path.name} could not be healed: {why}\n{by_hand(left)}")
