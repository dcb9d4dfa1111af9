"""The schema goes up and down under filled tables, is interrupted and raced for, and nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import get_args

import psycopg2
import psycopg2.errors
import pytest
import requests
from alembic.config import Config
from alembic.script import ScriptDirectory

from chaos import wait_for
from chaos.processes.supervisor import Supervisor
from chaos.stacks import cache, ports
from services import migrate
from services.contract.auth import Role
from services.contract.widgets import WidgetOut
from services.drivers.postgres import PostgresConfig
from services.security import audit
from services.security import sql as security_sql
from services.widget_core import sql as widget_sql
from tests.integration import filled
from tests.integration.databases import TABLES, WITHIN_S, Database, ended, fresh
from tests.integration.support.stack import Platform

FIRST = "0001"
SUPERUSER = "postgres"
MIGRATORS = 4
FILLED = {"widgets": filled.WIDGETS, "idempotency_keys": 301, "outbox": 45, "users": 101, "refresh_tokens": 505}
FILLED |= {"revocations": 4, "signing_keys": 2, "audit_log": filled.AUDITED}


@pytest.fixture(scope="session")
def own(platform: Platform) -> Callable[[], AbstractContextManager[Database]]:
    """Makes an empty database in the worker's Postgres for the body of a `with`."""
    found = platform.postgres
    names = {"host": found["host"], "port": found["port"], "database": found["dbname"], "password": found["password"]}
    boss = PostgresConfig(user=SUPERUSER if platform.embedded else found["user"], **names)
    [(may,)] = Database(config=boss).ask("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user")
    if not may:
        pytest.skip(f"{boss.user!r} may not create databases: ALTER ROLE {boss.user} CREATEDB")
    return lambda: fresh(boss, found["user"])


@pytest.fixture(scope="session")
def forks(request, platform: Platform) -> Supervisor:
    """The fork server that has the services imported already; one of the tests' own where there is none."""
    return platform.lab.stack.supervisor if platform.embedded else request.getfixturevalue("supervisor")


@pytest.fixture
def empty(own) -> Iterator[Database]:
    """A database without anything in it."""
    with own() as database:
        yield database


@pytest.fixture
def old(empty: Database) -> Database:
    """A database at the first revision, with all tables filled."""
    migrate.run(empty.config, FIRST)
    filled.fill(empty)
    return empty


@pytest.fixture(scope="module")
def there_and_back(own) -> Iterator[tuple[Database, list[dict[str, tuple[int, str]]]]]:
    """A filled database that went up, down, and up again, and its checksums at each stop."""
    with own() as database:
        migrate.run(database.config, FIRST)
        filled.fill(database)
        stops = [database.checksums()]
        for revision in ("head", "-1", "head"):
            migrate.run(database.config, revision)
            stops.append(database.checksums())
        yield database, stops


def revisions() -> list[str]:
    """All revisions, the oldest first."""
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    return [found.revision for found in ScriptDirectory.from_config(config).walk_revisions()][::-1]


@contextmanager
def holding(database: Database, statement: str) -> Iterator[None]:
    """An open transaction that has run *statement*, and so holds its locks."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        cursor.execute(statement)
        yield
        connection.rollback()


def waiting(database: Database) -> int:
    """How many wait for the lock of the migrations."""
    statement = """SELECT count(*)::int FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE locktype = 'advisory' AND objid = %s AND NOT granted AND datname = %s"""
    return database.ask(statement, migrate.LOCK, database.config.database)[0][0]


@contextmanager
def serving(database: Database, forks: Supervisor) -> Iterator[str]:
    """The security service on *database* alone, without a cache; its API's address."""
    block = ports.claim(cache.folder() / "ports", 1)
    [port] = block.ports
    told = {"PORT": str(port), "REDIS_PORT": "1", "SERVICE_PROFILE": "lab"}
    try:
        with database.program(forks, "services.security.main:main", **told):
            wait_for(lambda: ready(port), what="the service is ready", within_s=WITHIN_S, every_s=0.02)
            yield f"http://127.0.0.1:{port}/api/v1/auth"
    finally:
        block.release()


def ready(port: int) -> bool:
    """Whether the security service has a schema and a key to sign with."""
    try:
        degraded = requests.get(f"http://127.0.0.1:{port}/health", timeout=1).json()["degraded"]
    except requests.RequestException:
        return False
    return not {"security.schema", "security.keys"} & set(degraded)


def audited(database: Database) -> list[audit.AuditRecord]:
    """The audit log, as the verifier reads it."""
    names = audit.AuditRecord.__slots__
    lines = database.ask(security_sql.AUDIT_LOG)
    return [audit.AuditRecord(**dict(zip(names, (*line[:6], bytes(line[6])), strict=True))) for line in lines]


class TestUpAndDown:
    """Every revision has a way up and a way down."""

    def test_each_revision_can_be_gone_up_and_down_alone(self, empty: Database) -> None:
        """Step by step up to the newest, and back the same steps to nothing, seeing the same schema at each."""
        seen = [empty.catalogue()]
        for revision in revisions():
            migrate.run(empty.config, "+1")
            assert empty.version() == revision
            seen.append(empty.catalogue())
        assert len(seen) > 2, "there are several revisions"
        while seen:
            assert empty.catalogue() == seen.pop()
            if seen:
                migrate.run(empty.config, "-1")

    def test_one_leap_ends_where_the_steps_end(self, empty: Database, there_and_back) -> None:
        """From empty straight to the newest, and the long way with rows: the same columns, constraints, indexes."""
        migrate.run(empty.config)
        assert empty.catalogue() == there_and_back[0].catalogue()
        assert len(empty.catalogue()) > 80

    def test_at_the_newest_revision_nothing_is_done(self, old: Database) -> None:
        """Migrating again leaves rows, schema and version as they are."""
        migrate.run(old.config)
        before = (old.checksums(), old.catalogue(), old.ask("SELECT xmin::text FROM alembic_version"))
        migrate.run(old.config)
        assert (old.checksums(), old.catalogue(), old.ask("SELECT xmin::text FROM alembic_version")) == before

    def test_the_way_to_base_is_the_one_that_loses_rows(self, old: Database) -> None:
        """`base` leaves nothing behind, as its help says; going up again makes empty tables."""
        assert "`base` removes the tables with all that is in them" in " ".join((migrate.__doc__ or "").split())
        migrate.run(old.config, "base")
        assert (old.catalogue(), old.version()) == ([], None)
        migrate.run(old.config)
        assert {count for count, _ in old.checksums().values()} == {0}

    def test_a_revision_that_does_not_exist_is_named_and_nothing_is_touched(self, old: Database, forks) -> None:
        """Exit code 2, one line with the name, the rows as before."""
        before = old.checksums()
        with old.migrator(forks, "9999") as process:
            assert ended(process) == 2
            said = process.last_words()
        assert "9999" in said
        assert len(said.splitlines()) == 1
        assert (old.version(), old.checksums()) == (FIRST, before)


class TestNothingIsLost:
    """Rows of every kind survive the way up, down, and up again."""

    @pytest.mark.parametrize("table", TABLES)
    def test_a_table_keeps_every_row(self, there_and_back, table: str) -> None:
        """Up, down, up: the same number of rows, and the same digest over all their columns, at each stop."""
        stops = [stop[table] for stop in there_and_back[1]]
        assert stops[0][0] == FILLED[table]
        assert len(set(stops)) == 1, stops

    def test_text_and_extremes_come_back_as_they_went_in(self, there_and_back) -> None:
        """Names by code points, the largest version, infinite moments, a payload of a megabyte."""
        database = there_and_back[0]
        assert {name for (name,) in database.ask("SELECT DISTINCT name FROM widgets")} == set(filled.NAMES)
        assert database.ask("SELECT max(version), max(length(payload::text)) > 1000000 FROM widgets") == [
            (2_147_483_647, True)
        ]
        moments = {at for (at,) in database.ask("SELECT DISTINCT created_at::text FROM widgets")}
        assert {"infinity", "-infinity"} < moments
        assert len(moments) == len(filled.MOMENTS)

    def test_the_outbox_goes_on_counting(self, there_and_back) -> None:
        """A new entry's number is above all that were ever given out, deleted ones too."""
        statement = """INSERT INTO outbox (widget_id, kind, revision, critical, payload)
            VALUES (gen_random_uuid(), 'create', 1, false, '{}') RETURNING seq"""
        database = there_and_back[0]
        assert database.ask(statement) > [(60,)]
        database.ask("DELETE FROM outbox WHERE seq > 60")

    def test_the_audit_chain_stays_whole_and_closed(self, old: Database) -> None:
        """It verifies after the way there and back, takes a next record, and refuses to be edited."""
        for revision in ("head", "-1", "head"):
            migrate.run(old.config, revision)
        old.ask("SELECT audit_append('a', 'b', 'c', 'd')")
        records = audited(old)
        assert (len(records), audit.first_broken(records)) == (filled.AUDITED + 1, None)
        for statement in ("UPDATE audit_log SET actor = ''", "DELETE FROM audit_log", "TRUNCATE audit_log"):
            with pytest.raises(psycopg2.errors.RaiseException, match="append-only"):
                old.ask(statement)


class TestInterrupted:
    """A migration that is cut short leaves the old revision or the new one."""

    def test_a_backend_killed_on_the_way_up_leaves_the_old_revision(self, old: Database, forks) -> None:
        """Stopped between its two indexes: neither is there, every row is, and the next run finishes."""
        before, catalogue = old.checksums(), old.catalogue()
        with holding(old, "LOCK TABLE refresh_tokens IN ROW EXCLUSIVE MODE"), old.migrator(forks) as process:
            old.ask("SELECT pg_terminate_backend(%s)", old.held_up())
            assert ended(process) == 2, process.last_words()
        assert (old.version(), old.catalogue(), old.checksums()) == (FIRST, catalogue, before)
        migrate.run(old.config)
        assert (old.version(), old.checksums()) == (migrate.HEAD, before)

    def test_a_backend_killed_in_the_first_migration_leaves_nothing(self, empty: Database, forks) -> None:
        """Seven tables were made when it was stopped at the eighth: none of them is there."""
        with holding(empty, "CREATE TABLE audit_log ()"), empty.migrator(forks) as process:
            empty.ask("SELECT pg_terminate_backend(%s)", empty.held_up())
            assert ended(process) == 2, process.last_words()
        assert (empty.version(), empty.catalogue()) == (None, [])
        migrate.run(empty.config)
        assert empty.version() == migrate.HEAD

    def test_a_backend_killed_on_the_way_to_base_keeps_every_row(self, old: Database, forks) -> None:
        """The step that was done stays done, the one that was cut short did nothing."""
        before = old.checksums()
        migrate.run(old.config)
        with holding(old, "SELECT count(*) FROM widgets"), old.migrator(forks, "base") as process:
            old.ask("SELECT pg_terminate_backend(%s)", old.held_up())
            assert ended(process) == 2, process.last_words()
        assert (old.version(), old.checksums()) == (FIRST, before)

    def test_a_migrator_killed_in_mid_flight_blocks_nobody(self, old: Database, forks) -> None:
        """SIGKILL of the process: the schema is the old one, and the next migrator gets the lock and finishes."""
        with holding(old, "LOCK TABLE refresh_tokens IN ROW EXCLUSIVE MODE"), old.migrator(forks) as process:
            old.held_up()
            process.stop(signal.SIGKILL)
        assert old.version() == FIRST
        with old.migrator(forks) as process:
            assert ended(process) == 0, process.last_words()
        assert old.version() == migrate.HEAD


class TestRaces:
    """Every instance of every service may migrate at its start."""

    @pytest.mark.parametrize("start", ["empty", "old"])
    def test_migrators_at_the_same_moment_all_succeed(self, request, start: str, forks) -> None:
        """Four begin while the lock is held by a fifth: each exits 0, and the schema was migrated once."""
        database: Database = request.getfixturevalue(start)
        rows = database.checksums() if start == "old" else None
        with ExitStack() as stack:
            with holding(database, f"SELECT pg_advisory_lock({migrate.LOCK})"):
                started = [stack.enter_context(database.migrator(forks)) for _ in range(MIGRATORS)]
                wait_for(lambda: waiting(database) == MIGRATORS, what="all migrators wait", within_s=WITHIN_S)
            assert [ended(process) for process in started] == [0] * MIGRATORS
        assert (database.version(), database.ask("SELECT count(*) FROM alembic_version")) == (migrate.HEAD, [(1,)])
        assert rows is None or database.checksums() == rows


class TestSchemaAndCode:
    """The schema says what the code believes."""

    def test_the_tables_take_what_the_contract_names_and_nothing_else(self, old: Database) -> None:
        """Each role and each state of the public API can be stored; a made-up one, a name too long cannot."""
        for role in get_args(Role):
            old.ask("UPDATE users SET role = %s WHERE id = %s", role, filled.ADA)
        for state in get_args(WidgetOut.model_fields["state"].annotation):
            old.ask("UPDATE widgets SET state = %s WHERE version = 2", state)
        for refused, value in (
            ("UPDATE users SET role = %s", "root"),
            ("UPDATE widgets SET state = %s", "gone"),
            ("UPDATE widgets SET name = %s", "x" * 101),
            ("UPDATE widgets SET name = %s", ""),
            ("UPDATE widgets SET version = %s", 0),
        ):
            with pytest.raises(psycopg2.errors.CheckViolation):
                old.ask(refused, value)

    @pytest.mark.parametrize(
        ("index", "statement"),
        [
            ("widgets_page", widget_sql.PAGE % {"at": "'-infinity'", "id": f"'{filled.ADA}'", "limit": 50}),
            ("revocations_expiry", security_sql.REVOCATIONS),
            ("refresh_tokens_access", "SELECT family FROM refresh_tokens WHERE access_id = 'access-1'"),
            (
                "outbox_widget",
                "SELECT 1 FROM outbox WHERE widget_id = '00000000-0000-4000-8000-000000000001' AND seq < 9",
            ),
        ],
    )
    def test_what_the_services_ask_has_an_index(self, there_and_back, index: str, statement: str) -> None:
        """The plan of the statement goes through the index that was made for it."""
        with closing(there_and_back[0].connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off")
            cursor.execute(f"EXPLAIN {statement}")
            assert any(index in line for (line,) in cursor.fetchall())

    @pytest.mark.parametrize("start", ["empty", "old"])
    def test_a_service_brings_its_schema_up_to_date_and_serves(self, request, start: str, forks) -> None:
        """Started on an old or an empty database it migrates, and users old and new can log in."""
        database: Database = request.getfixturevalue(start)
        known = {"email": filled.EMAIL, "password": filled.PASSWORD}
        with serving(database, forks) as url:
            if start == "empty":
                assert requests.post(f"{url}/register", json=known, timeout=5).status_code == 201
            answer = requests.post(f"{url}/login", json=known, timeout=5)
        assert answer.status_code == 200, answer.text
        assert database.version() == migrate.HEAD
        assert audit.first_broken(audited(database)) is None
