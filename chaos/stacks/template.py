"""The Postgres data directory that every lab copies: made once, with the platform's schema in it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from chaos.clock import wait_for
from chaos.config import LOOPBACK, Config, PostgresSpec, PrepareSpec
from chaos.errors import ConfigError, StackError
from chaos.processes.kernel import become_unprivileged, is_refused_by_postgres
from chaos.processes.supervisor import Supervisor
from chaos.stacks import cache, postgres
from chaos.stacks.ports import claim
from chaos.stacks.toxiproxy import Say

PREPARED_WITHIN_S: Final = 60.0

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


def provide(config: Config, supervisor: Supervisor, say: Say) -> Path:
    """The template data directory of this project, made if it is not in the cache.

    Args:
        supervisor: runs the server and the project's ``prepare`` step while it is made.
        say: told when it is made.

    Raises:
        StackError: initdb or the ``prepare`` step failed; carries its last words.
    """
    spec = config.settings.postgres or PostgresSpec()

    def build(folder: Path) -> None:
        say("making the Postgres template (once)")
        _initialise(spec, folder)
        if spec.prepare:
            _prepare(spec, spec.prepare, config.root, folder, supervisor)

    return cache.built(cache.folder() / "postgres" / _fingerprint(spec, config.root), build)


def _fingerprint(spec: PostgresSpec, root: Path) -> str:
    """Changes with the server, its settings and every input of the ``prepare`` step."""
    digest = hashlib.sha256("\0".join([str(postgres.binaries()), *_INITDB, spec.model_dump_json()]).encode())
    for path in _inputs(spec, root):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _inputs(spec: PostgresSpec, root: Path) -> Iterable[Path]:
    globs = spec.prepare.inputs if spec.prepare else ()
    for glob in globs:
        if not (found := sorted(path for path in root.glob(glob) if path.is_file())):
            problem = f"postgres → prepare → inputs: {glob!r} matches no file in {root}"
            raise ConfigError("[tool.chaos-lab]", [problem])
        yield from found


def _prepare(spec: PostgresSpec, prepare: PrepareSpec, root: Path, folder: Path, supervisor: Supervisor) -> None:
    """Run the project's own step (its migrations) against a server on the new directory."""
    block = claim(cache.folder() / "ports", 1)
    with tempfile.TemporaryDirectory(dir=supervisor.folder) as scratch:
        port, log = block.ports[0], Path(scratch) / "log"
        server = postgres.start(folder, port, supervisor, log)
        try:
            postgres.wait_ready(spec, port, server)
            names = SimpleNamespace(**spec.model_dump() | {"host": LOOPBACK, "port": port})
            environment = {key: value.format(postgres=names) for key, value in prepare.env.items()}
            step = supervisor.spawn("prepare", target=prepare.run, env=environment, cwd=root, log=log)
            wait_for(lambda: step.status() is not None, what=f"{prepare.run} has ended", within_s=PREPARED_WITHIN_S)
            if status := step.status():
                msg = f"{prepare.run} ended with {status}:\n{step.last_words()}"
                raise StackError(msg)
        finally:
            server.stop(signal.SIGINT)  # "fast": the directory is left clean, ready to be copied
            block.release()


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
        [str(postgres.binaries() / name), *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        preexec_fn=become_unprivileged if is_refused_by_postgres() else None,
    )
    if done.returncode or "ERROR" in done.stderr:
        msg = f"{name} failed with {done.returncode}: {done.stderr.strip()[-500:]}"
        raise StackError(msg)
