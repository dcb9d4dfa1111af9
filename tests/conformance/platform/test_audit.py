"""The audit log: a record of every action, and a command that finds out whoever touched one."""

import contextlib
import dataclasses
import subprocess
import sys
import uuid

import psycopg2
import pytest

from tests.conformance.platform.conftest import environment

REWRITE = """
DO $$ DECLARE number bigint; BEGIN
    ALTER TABLE audit_log DISABLE TRIGGER ALL;
    CREATE TEMP TABLE kept AS SELECT * FROM audit_log;
    DELETE FROM audit_log;
    FOR number IN SELECT seq FROM kept ORDER BY seq LOOP
        PERFORM audit_append('nobody', action, subject, detail) FROM kept WHERE seq = number;
    END LOOP;
END $$"""
CUT = "ALTER TABLE audit_log DISABLE TRIGGER ALL; DELETE FROM audit_log WHERE seq > 3"


def test_the_audit_chain_is_whole_and_cannot_be_edited(platform):
    """The verifier agrees, and the database refuses to change or remove a record."""
    platform.token()
    assert _audit(platform).returncode == 0
    for statement in ("DELETE FROM audit_log", "UPDATE audit_log SET actor = 'x'", "TRUNCATE audit_log"):
        connection = platform.stores.connect()
        with contextlib.closing(connection), connection.cursor() as cursor, pytest.raises(psycopg2.Error):
            cursor.execute(statement)


def test_a_record_that_was_changed_is_found(platform, running_stores):
    """A table owner can switch the guard off; the command names the record he has changed, and exits 1."""
    own = dataclasses.replace(platform, stores=running_stores.copy("audit"))
    with contextlib.closing(own.stores.connect()) as connection, connection.cursor() as cursor:
        for number in range(5):
            cursor.execute("SELECT audit_append('somebody', 'login', %s, '')", (str(number),))
        assert _audit(own).returncode == 0
        cursor.execute("ALTER TABLE audit_log DISABLE TRIGGER ALL")
        cursor.execute("UPDATE audit_log SET actor = 'nobody' WHERE seq = 3")
    found = _audit(own)
    assert (found.returncode, found.stdout) == (1, b"the audit log is broken at record 3\n")


@pytest.mark.parametrize("change", [REWRITE, CUT], ids=["written anew", "cut"])
def test_a_log_that_was_written_anew_or_cut_has_lost_its_head(platform, running_stores, change):
    """Every digest is right, so only the head that somebody has kept outside gives it away."""
    own = dataclasses.replace(platform, stores=running_stores.copy(f"audit_{uuid.uuid4().hex}"))
    with contextlib.closing(own.stores.connect()) as connection, connection.cursor() as cursor:
        for number in range(5):
            cursor.execute("SELECT audit_append('somebody', 'login', %s, '')", (str(number),))
        head = _audit(own).stdout.decode().split()[-1]
        cursor.execute("SELECT audit_append('somebody', 'login', 'later', '')")
        assert _audit(own, head).returncode == 0
        cursor.execute(change)
    assert _audit(own).returncode == 0
    found = _audit(own, head)
    assert (found.returncode, b"cut or written anew" in found.stdout, head in found.stdout.decode()) == (1, True, True)
    assert _audit(own, "5:x").returncode == 2


def _audit(platform, *heads):
    command = [sys.executable, "-m", "services.security.audit", *heads]
    return subprocess.run(command, env=environment(platform.stores, platform.ports), check=False, capture_output=True)
