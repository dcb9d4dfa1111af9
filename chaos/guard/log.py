"""The undo log: on disk before any change is made, so that whoever comes next can take it back.

One file of JSON lines for each lab that injects, in ``.chaos-lab/undo`` of the project: first the lab
itself, then what was entered and what was struck out. Lines are only ever appended. They are not
synced to the platters: the log must survive the death of processes, and faults do not survive that
of the machine. Nothing secret is in it.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from chaos.clock import wait_for
from chaos.config import Address, Config
from chaos.errors import LabError, UndoLogError, disk_errors
from chaos.guard.lines import LINE, Entered, Struck
from chaos.guard.lines import Lab as Lab  # noqa: PLC0414  (mypy asks for it)
from chaos.guard.lines import Runner as Runner  # noqa: PLC0414
from chaos.guard.reach import Place
from chaos.guard.undo import RemoveToxic, Stop, Undo, by_hand

FOLDER: Final = Path(".chaos-lab") / "undo"
BYTES_MAX: Final = 20_000_000
POLITE_S: Final = 1.0
"""How long to wait for whoever heals from the same log; then both do, which does no harm."""

_COUNT: Final = itertools.count(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What an undo log says.

    Attributes:
        lab: whose it is; None when its runner died before it could say so.
        owed: what was entered and not struck out, by number.
    """

    lab: Lab | None
    owed: Mapping[int, Entered]

    @property
    def places(self) -> dict[str, Place]:
        """The lab's edges by name."""
        return {place.name: place for place in self.lab.edges} if self.lab else {}


class UndoLog:
    """An undo log that is written to; raises FileNotFoundError unless it is there or *new*."""

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self.path = path
        with disk_errors(path):
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (new and os.O_CREAT), 0o600)

    @classmethod
    def create(cls, root: Path, lab: Lab) -> UndoLog:
        """Begin a log of this process for *lab* in the project *root*."""
        folder = root / FOLDER
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        log = cls(folder / f"{lab.runner.pid}-{lab.runner.started}-{next(_COUNT)}.jsonl", new=True)
        log._append(lab)
        return log

    def enter(self, number: int, undo: Undo, at_most_s: float) -> None:
        """Say that *undo* is owed from now on."""
        self._append(Entered(number=number, undo=undo, at_most_s=at_most_s, since=datetime.now(UTC)))

    def strike(self, number: int, how: str) -> None:
        """Say that the change has been taken back."""
        self._append(Struck(number=number, how=how))

    def close(self, *, remove: bool) -> None:
        """Let go of the file, and *remove* it when nothing in it is owed."""
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _append(self, line: Lab | Entered | Struck) -> None:
        """Write *line* whole or not at all: half of it would swallow the next one."""
        text = line.model_dump_json().encode() + b"\n"
        with disk_errors(self.path):
            written = os.write(self._file, text)
            if written < len(text):
                os.ftruncate(self._file, os.lseek(self._file, 0, os.SEEK_CUR) - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def paths(root: Path) -> list[Path]:
    """All undo logs of the project *root*."""
    return sorted((root / FOLDER).glob("*.jsonl"))


def runner(path: Path) -> Runner | None:
    """The process whose log *path* is, by the file's name; None when it has another kind of name."""
    pid, _, rest = path.stem.partition("-")
    started, _, _count = rest.partition("-")
    return Runner(pid=int(pid), started=int(started)) if pid.isdecimal() and started.isdecimal() else None


def read(path: Path, may: Callable[[Lab | Entered], str]) -> Contents:
    """Read the undo log *path*.

    A last line without its end was being written when its runner died: its change was never made.

    Args:
        may: says what forbids to act on a line, or nothing; see ``limits``.

    Raises:
        UndoLogError: it is damaged, too large, or names what may not be touched; names the line, and
            carries the commands that do by hand what it owes.
    """
    lab: Lab | None = None
    owed: dict[int, Entered] = {}
    problems: list[tuple[str, str]] = []
    for place, text in _lines(path):
        try:
            line = LINE.validate_json(text)
        except ValidationError as error:
            what = error.errors(include_url=False)[0]["msg"]
            problems.append((place, f"is no line of an undo log: {what}"))
            continue
        if isinstance(line, Struck):
            owed.pop(line.number, None)
            continue
        if problem := may(line):
            problems.append((place, problem))
        if isinstance(line, Lab):
            lab = line
        else:
            owed[line.number] = line
    if problems:
        raise _damaged(*problems[0], left=[entry.undo for entry in owed.values()])
    return Contents(lab=lab, owed=owed)


def limits(config: Config) -> Callable[[Lab | Entered], str]:
    """What forbids to act on a line of an undo log: only configured edges on allowed hosts may be touched."""

    def may(line: Lab | Entered) -> str:
        if isinstance(line, Lab):
            addresses = [text for place in line.edges for text in (place.listen, place.upstream)]
            addresses += [line.postgres] if line.postgres else []
            addresses += [door for member in line.processes.values() for door in member.doors]
            problems = [member.handle.problem() for member in line.processes.values()]
            problems += [_address_problem(config, text) for text in addresses]
            return next(filter(None, problems), "")
        return forbidden(config, line.undo)

    return may


def forbidden(config: Config, undo: Undo) -> str:
    """Why *undo* may not be performed on this project, or nothing."""
    if isinstance(undo, Stop):
        return ""
    url = getattr(undo, "toxiproxy", None)
    if url is None:
        return "" if undo.on in {"", *config.processes()} else f"names the process {undo.on!r}, which is not configured"
    if undo.on not in config.proxies:
        return f"names the edge {undo.on!r}, which {config.settings.edges} does not"
    if not config.settings.may_touch(urlsplit(url).hostname):
        return f"names the Toxiproxy {url!r}, which is neither on loopback nor listed in allow-hosts"
    return ""


def owed_toxics(config: Config, edge: str) -> set[str]:
    """Names of the toxics on *edge* that runners of this project owe; a damaged log names none."""
    found: set[str] = set()
    for path in paths(config.root):
        with suppress(UndoLogError):
            undos = [entry.undo for entry in read(path, limits(config)).owed.values()]
            found |= {undo.toxic for undo in undos if isinstance(undo, RemoveToxic) and undo.proxy == edge}
    return found


@contextmanager
def healing(path: Path, polite_s: float = POLITE_S) -> Iterator[None]:
    """Hold the undo log *path* while healing from it, so that two healers do not meet.

    Whoever holds it may be frozen, and a heal may not wait for that: undos may be performed twice.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield  # whoever healed before has removed it
        return
    try:
        with suppress(LabError):
            wait_for(lambda: _locked(file), what=f"{path.name} is free", within_s=polite_s)
        yield
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each whole line with where it is."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise _damaged(str(path), f"is larger than {BYTES_MAX} bytes")
        content = path.read_bytes()
    except FileNotFoundError:
        return  # healed and removed meanwhile
    except OSError as error:
        raise _damaged(str(path), f"cannot be read: {error}") from error
    *lines, _unfinished = content.split(b"\n")
    for number, text in enumerate(lines, 1):
        yield f"{path}, line {number}", text


def _damaged(place: str, problem: str, left: Sequence[Undo] = ()) -> UndoLogError:
    way_out = "'chaos-lab heal --all' resets every configured edge and puts such logs aside"
    commands = f"\n{by_hand(left)}" if left else ""
    return UndoLogError(f"{place}: {problem}. {way_out}{commands}")


def _address_problem(config: Config, text: str) -> str:
    try:
        host = Address.parse(text).host
    except ValueError as error:
        return str(error)
    return "" if config.settings.may_touch(host) else f"{text!r} is neither on loopback nor listed in allow-hosts"
