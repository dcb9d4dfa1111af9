"""The schema goes up, down, and up again, and a service knows it with one query."""

import contextlib

import psycopg2.extensions
from alembic.config import Config
from alembic.script import ScriptDirectory

from services import migrate

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


def at_head(stores) -> bool:
    """Ask as a service does at its start."""
    psycopg2.extensions.set_wait_callback(None)
    with contextlib.closing(stores.connect()) as connection:
        return migrate.at_head(connection)


def tables(stores) -> int:
    """Return how many tables there are."""
    with contextlib.closing(stores.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        return cursor.fetchone()[0]


def test_the_code_knows_the_newest_revision():
    """`HEAD` is what the migrations end in."""
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


def test_up_and_down(running_stores):
    """Down leaves nothing behind; up again is the same as before, and up twice changes nothing."""
    own = running_stores.copy("migrations")
    assert at_head(own)
    made = tables(own)
    migrate.run(own.postgres, "base")
    assert (at_head(own), tables(own)) == (False, 0)
    for _ in range(2):
        migrate.run(own.postgres)
    assert (at_head(own), tables(own)) == (True, made)


def test_a_newer_schema_is_good_enough_for_an_older_service(running_stores):
    """While a new release is rolled out the old one goes on working: migrations only add."""
    own = running_stores.copy("newer")
    with contextlib.closing(own.connect()) as connection:
        connection.cursor().execute("UPDATE alembic_version SET version_num = '9999'")
    assert at_head(own)
