"""Bring the database's schema to a revision: `python -m services.migrate [head|base|+1|-1]`.

Reads POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD. Many
may start at once: the work is done under an advisory lock.
"""

import os
import sys
from pathlib import Path

import psycopg2
import psycopg2.errors

from services.drivers.postgres import PostgresConfig
from services.web.environment import ConfigurationError, Environment
from services.web.stores import postgres_settings

HEAD = "0001"
LOCK = 7_215_003
MIGRATIONS = Path(__file__).parent / "migrations"


def main() -> None:
    """Migrate to the revision named on the command line, the newest by default."""
    env = Environment(os.environ)
    config = postgres_settings(env)
    try:
        env.check()
        run(config, sys.argv[1] if len(sys.argv) > 1 else "head")
    except (ConfigurationError, psycopg2.OperationalError) as error:
        sys.stderr.write(f"cannot migrate: {error}\n")
        sys.exit(2)


def run(config: PostgresConfig, revision: str = "head") -> None:
    """Migrate to *revision*, up or down."""
    # Only here: a service whose schema is up to date never pays for these imports.
    import sqlalchemy  # noqa: PLC0415
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    url = sqlalchemy.URL.create(
        "postgresql+psycopg2", config.user, config.password, config.host, config.port, config.database
    )
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({LOCK})"))
        connection.commit()
        settings.attributes["connection"] = connection
        move = command.downgrade if revision == "base" or revision.startswith("-") else command.upgrade
        move(settings, revision)


def at_head(connection: "psycopg2.extensions.connection") -> bool:
    """Tell with one cheap query whether the schema is up to date."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT version_num FROM alembic_version")
        except psycopg2.errors.UndefinedTable:
            return False
        row = cursor.fetchone()
        return row is not None and row[0] == HEAD


if __name__ == "__main__":
    main()
