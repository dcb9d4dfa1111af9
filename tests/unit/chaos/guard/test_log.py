"""The undo log on disk: what is owed survives; what is damaged or not ours is refused by name and line."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chaos import config
from chaos.errors import LabError, UndoLogError
from chaos.guard import log
from chaos.guard.reach import places_of
from chaos.guard.undo import Enable, RemoveToxic, Start

URL = "http://127.0.0.1:8474"
DOWN = Enable(toxiproxy=URL, proxy="web.redis")
FOREIGN = {"kind": "forked", "supervisor": "/run/dbus/system_bus_socket", "number": 1}
OURS = FOREIGN | {"supervisor": "/run/chaos-lab-1-x/supervisor.sock"}
SLOW = RemoveToxic(toxiproxy=URL, proxy="web.redis", toxic="latency-1-1")


@pytest.fixture
def settings(tiny: Path) -> config.Config:
    """The tiny platform's configuration."""
    return config.load(tiny)


@pytest.fixture
def written(settings: config.Config) -> Path:
    """A log in which a toxic is owed and a proxy is not any more."""
    lab = log.Lab(runner=log.Runner.this(), edges=tuple(places_of(settings, settings.proxies).values()))
    book = log.UndoLog.create(settings.root, lab)
    book.enter(1, DOWN, 5)
    book.enter(2, SLOW, 5)
    book.strike(1, "undone")
    book.close(remove=False)
    return book.path


def read(path: Path, settings: config.Config) -> log.Contents:
    """What it says."""
    return log.read(path, log.limits(settings))


def damage(path: Path, line: int, change: dict[str, Any] | str) -> None:
    """Change a line of the log, counted from 1."""
    lines = path.read_text().splitlines()
    lines[line - 1] = change if isinstance(change, str) else json.dumps(json.loads(lines[line - 1]) | change)
    path.write_text("\n".join(lines) + "\n")


def test_what_is_owed_can_be_read_back(written: Path, settings: config.Config) -> None:
    """With the lab's edges, and without what has been struck out."""
    contents = read(written, settings)
    assert {n: entry.undo for n, entry in contents.owed.items()} == {2: SLOW}
    assert contents.places["web.redis"].upstream == "127.0.0.1:6379"


def test_it_lies_in_the_project_and_git_ignores_it(written: Path, settings: config.Config) -> None:
    """Readable for its user alone."""
    assert written.parent == settings.root / ".chaos-lab" / "undo"
    assert (settings.root / ".chaos-lab" / ".gitignore").read_text() == "*\n"
    assert written.stat().st_mode & 0o077 == 0


def test_nothing_secret_is_in_it(written: Path) -> None:
    """The configuration has passwords."""
    assert "password" not in written.read_text()


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_last_line_that_was_being_written_counts_for_nothing(
    written: Path, settings: config.Config, cut: int
) -> None:
    """Its change was never made."""
    whole = written.read_bytes()
    written.write_bytes(whole + whole.splitlines(keepends=True)[1][:-cut])
    assert list(read(written, settings).owed) == [2]


def test_a_runner_that_died_at_once_owes_nothing(written: Path, settings: config.Config) -> None:
    """Its log is empty, or half a first line."""
    written.write_bytes(written.read_bytes()[:30])
    assert read(written, settings) == log.Contents(lab=None, owed={})


@pytest.mark.parametrize(
    "line", ["", "{", "[]", '{"line": "entered"}', '{"line": "other"}', "\x00\x00", '{"line":"struck"}']
)
def test_a_damaged_line_is_named(written: Path, settings: config.Config, line: str) -> None:
    """With its file, its number and the way out."""
    damage(written, 3, line)
    with pytest.raises(UndoLogError, match=rf"{written.name}, line 3: .* 'chaos-lab heal --all'"):
        read(written, settings)


@pytest.mark.parametrize(
    ("line", "change", "says"),
    [
        (3, {"undo": SLOW.model_dump() | {"toxiproxy": "http://192.0.2.1:8474"}}, "'http://192.0.2.1:8474'"),
        (3, {"undo": SLOW.model_dump() | {"toxiproxy": "file:///etc/passwd"}}, "file:///etc/passwd"),
        (3, {"undo": SLOW.model_dump() | {"proxy": "somebody.else"}}, "'somebody.else'"),
        (3, {"undo": Start(process="init").model_dump()}, "'init'"),
        (1, {"postgres": "192.0.2.1:5432"}, "'192.0.2.1:5432'"),
        (1, {"processes": {"redis": {"handle": FOREIGN}}}, "'/run/dbus/system_bus_socket'"),
        (1, {"processes": {"redis": {"handle": OURS, "doors": {"192.0.2.1:1": "redis"}}}}, "'192.0.2.1:1'"),
        (
            1,
            {"edges": [{"name": "a.b", "listen": "127.0.0.1:1", "upstream": "192.0.2.1:1", "protocol": "tcp"}]},
            "192.0.2.1",
        ),
    ],
)
def test_what_is_not_configured_is_refused(
    written: Path, settings: config.Config, line: int, change: dict[str, Any], says: str
) -> None:
    """Foreign hosts, unknown edges and processes, sockets of others; file and line are named."""
    damage(written, line, change)
    with pytest.raises(UndoLogError, match=f"line {line}: .*{says}"):
        read(written, settings)


def test_a_host_that_is_allowed_is_not_refused(written: Path, settings: config.Config) -> None:
    """``allow-hosts`` names it."""
    damage(written, 3, {"undo": SLOW.model_dump() | {"toxiproxy": "http://192.0.2.1:8474"}})
    allowed = settings.settings.model_copy(update={"allow_hosts": ("192.0.2.1",)})
    object.__setattr__(settings, "settings", allowed)
    assert list(read(written, settings).owed) == [2]


def test_a_log_that_is_too_large_is_refused(
    written: Path, settings: config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not even read."""
    monkeypatch.setattr(log, "BYTES_MAX", 10)
    with pytest.raises(UndoLogError, match="larger than 10 bytes"):
        read(written, settings)


def test_a_process_with_the_same_number_is_not_the_same_runner() -> None:
    """The moment at which it started tells them apart."""
    this = log.Runner.this()
    assert this.lives()
    assert not log.Runner(pid=this.pid, started=this.started + 1).lives()
    assert not log.Runner(pid=2**22 + 1, started=1).lives()


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as on a disk that is full then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [1, 20])
def test_a_line_that_the_disk_has_no_room_for_leaves_no_trace(
    written: Path, settings: config.Config, room: int
) -> None:
    """No fault is made, and what is written once there is room is whole."""
    book = log.UndoLog(written)
    before = written.read_bytes()
    with files_end_at(len(before) + room), pytest.raises(LabError, match="no space left on the disk"):
        book.enter(3, DOWN, 5)
    assert written.read_bytes() == before
    book.enter(4, DOWN, 5)
    book.close(remove=False)
    assert list(read(written, settings).owed) == [2, 4]


def test_what_a_damaged_log_owes_is_told_as_commands(written: Path, settings: config.Config) -> None:
    """An edge that has been renamed since can be healed by hand alone."""
    damage(written, 3, {"undo": SLOW.model_dump() | {"proxy": "web.cache"}})
    command = f"curl -X DELETE {URL}/proxies/web.cache/toxics/"
    with pytest.raises(UndoLogError, match=f"line 3: .*'web.cache'.*\n.*\n.*{command}"):
        read(written, settings)


def test_what_has_been_struck_out_of_a_damaged_log_is_not_told(written: Path, settings: config.Config) -> None:
    """It is not owed."""
    damage(written, 2, {"undo": DOWN.model_dump() | {"proxy": "web.cache"}})
    with pytest.raises(UndoLogError) as told:
        read(written, settings)
    assert SLOW.by_hand() in str(told.value)
    assert "web.cache/" not in str(told.value)
    assert '"enabled"' not in str(told.value)


def test_a_name_in_a_log_cannot_smuggle_a_command_in(written: Path, settings: config.Config) -> None:
    """What is to be pasted into a shell is quoted."""
    damage(written, 3, {"undo": SLOW.model_dump() | {"proxy": "web.cache; reboot"}})
    with pytest.raises(UndoLogError, match=r"'http://[^']*web\.cache; reboot/toxics/latency-1-1'"):
        read(written, settings)
