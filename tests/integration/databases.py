"""Databases of a test's own in the worker's Postgres: made, measured, dropped."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psycopg2
import psycopg2.extensions

from chaos import wait_for
from chaos.processes.supervisor import Process, Supervisor
from services import migrate
from services.drivers.postgres import PostgresConfig

ROOT: Final = Path(__file__).parent.parent.parent
WITHIN_S: Final = 30.0
PRELOADED: Final = ("services.security.main", "sqlalchemy", "alembic.command", "alembic.config", __name__)

TABLES = (
    "widgets",
    "idempotency_keys",
    "outbox",
    "users",
    "refresh_tokens",
    "revocations",
    "signing_keys",
    "audit_log",
)

# One line for each thing that a schema consists of, in an order of its own.
CATALOGUE = """
SELECT format('column %s.%s %s %s %s %s', table_name, column_name, data_type, is_nullable, column_default,
              identity_generation)
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL SELECT format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
AND conrelid <> coalesce(to_regclass('alembic_version'), 0::regclass)
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
ORDER BY 1"""

# Whoever waits for a lock that somebody else holds, past the first of their statements.
HELD_UP = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event <> 'advisory'"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """One database, and what is in it."""

    config: PostgresConfig

    def connect(self) -> Any:
        """A connection in autocommit mode; its cursors are those of psycopg2."""
        psycopg2.extensions.set_wait_callback(None)  # the services' drivers set it for the whole process
        found = self.config
        connection = psycopg2.connect(
            host=found.host, port=found.port, dbname=found.database, user=found.user, password=found.password
        )
        connection.autocommit = True
        return connection

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a statement; empty when it gives none."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def version(self) -> str | None:
        """The revision of the schema; None before the first."""
        if self.ask("SELECT to_regclass('alembic_version')") == [(None,)]:
            return None
        found = self.ask("SELECT version_num FROM alembic_version")
        return found[0][0] if found else None

    def catalogue(self) -> list[str]:
        """All that the schema consists of."""
        return [line for (line,) in self.ask(CATALOGUE)]

    def checksums(self) -> Mapping[str, tuple[int, str]]:
        """How many rows each table has, and a digest of all that is in them."""
        return {table: self.ask(_DIGEST.format(table=table))[0] for table in TABLES}

    def held_up(self) -> int:
        """The process id of the backend that waits for a lock of somebody else; there must come one."""
        what = f"somebody waits for a lock in {self.config.database}"
        return wait_for(lambda: self.ask(HELD_UP), what=what, within_s=10)[0][0]

    @contextmanager
    def program(self, supervisor: Supervisor, target: str, **variables: str) -> Iterator[Process]:
        """A program of the platform that is told to use this database; it ends with the block."""
        supervisor.preload(PRELOADED)
        found = self.config
        told = {
            "PATH": os.environ["PATH"],
            "POSTGRES_HOST": found.host,
            "POSTGRES_PORT": str(found.port),
            "POSTGRES_DB": found.database,
            "POSTGRES_USER": found.user,
            "POSTGRES_PASSWORD": found.password,
        }
        log = supervisor.folder / f"{found.database}-{uuid.uuid4().hex[:6]}.log"
        process = supervisor.spawn("program", target=target, env=told | variables, cwd=ROOT, log=log)
        try:
            yield process
        finally:
            process.stop()

    @contextmanager
    def migrator(self, supervisor: Supervisor, revision: str = "head") -> Iterator[Process]:
        """The command that migrates to *revision*, running."""
        with self.program(supervisor, f"{__name__}:migrate_to", REVISION=revision) as process:
            yield process


def migrate_to() -> None:
    """Be ``python -m services.migrate`` with the revision that the environment names."""
    sys.argv[1:] = [os.environ["REVISION"]]
    migrate.main()


def ended(process: Process) -> int:
    """The exit status of *process*, once it has ended."""
    wait_for(lambda: process.status() is not None, what=f"{process.name} has ended", within_s=WITHIN_S)
    return int(process.status() or 0)


_DIGEST = "SELECT count(*)::int, md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {table} t"


@contextmanager
def fresh(server: PostgresConfig, owner: str) -> Iterator[Database]:
    """An empty database of *owner* on *server*, whose account may create databases; dropped afterwards."""
    name = f"own_{uuid.uuid4().hex[:12]}"
    boss = Database(config=server)
    boss.ask(f'CREATE DATABASE {name} OWNER "{owner}"')
    try:
        yield Database(config=replace(server, database=name, user=owner))
    finally:
        boss.ask(f"DROP DATABASE {name} WITH (FORCE)")
