"""Bring the database's schema to a revision: `python -m services.migrate [head|base|+1|-1]`.

Reads POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD. Many
may start at once: the work is done under an advisory lock. Going down to 0001 keeps every row;
`base` removes the tables with all that is in them. Exits 2 with one line when it cannot be done.
"""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import psycopg2.errors

from services.drivers.postgres import PostgresConfig
from services.drivers.waiting import bounded
from services.resilience import AttemptTimeout, Deadline
from services.web.environment import ConfigurationError, Environment
from services.web.stores import postgres_settings

if TYPE_CHECKING:
    import sqlalchemy

HEAD = "0003"
LOCK = 7_215_003
CONNECT_S = 5.0
MIGRATIONS = Path(__file__).parent / "migrations"


class MigrationError(Exception):
    """The database cannot be reached or was lost on the way, or there is no such revision."""


def main() -> None:
    """Migrate to the revision named on the command line, the newest by default."""
    env = Environment(os.environ)
    config = postgres_settings(env)
    try:
        env.check()
        run(config, sys.argv[1] if len(sys.argv) > 1 else "head")
    except (ConfigurationError, MigrationError) as error:
        sys.stderr.write(f"cannot migrate: {error}\n")
        sys.exit(2)


def run(config: PostgresConfig, revision: str = "head") -> None:
    """Migrate to *revision*, up or down, or raise `MigrationError`."""
    # Only here: a service whose schema is up to date never pays for these imports.
    import sqlalchemy  # noqa: PLC0415
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    url = sqlalchemy.URL.create(
        "postgresql+psycopg2", config.user, config.password, config.host, config.port, config.database
    )
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    move = command.downgrade if revision == "base" or revision.startswith("-") else command.upgrade
    try:
        with _connected(engine, config) as connection:
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({LOCK})"))
            connection.commit()
            settings.attributes["connection"] = connection
            move(settings, revision)
    except (sqlalchemy.exc.OperationalError, CommandError) as error:
        raise MigrationError(str(getattr(error, "orig", error)).partition("\n")[0]) from error


def _connected(engine: "sqlalchemy.Engine", config: PostgresConfig) -> "sqlalchemy.Connection":
    """Connect, in a bounded time: without a bound of ours a handshake may hang for ever."""
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415

    try:
        with bounded(Deadline.after(CONNECT_S, time.monotonic)):
            return engine.connect()
    except (OperationalError, AttemptTimeout) as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        message = f"connection to server at {config.host!r}, port {config.port} failed: {reason}"
        raise MigrationError(message) from error


def at_head(connection: "psycopg2.extensions.connection") -> bool:
    """Tell with one cheap query whether the schema is as new as this code, or newer: migrations only add."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT version_num FROM alembic_version")
        except psycopg2.errors.UndefinedTable:
            return False
        row = cursor.fetchone()
        return row is not None and row[0] >= HEAD


if __name__ == "__main__":
    main()
