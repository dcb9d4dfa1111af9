"""The command that migrates: what it says when it cannot."""

import socket
import time

import psycopg2.extensions
import pytest

from services import migrate
from services.drivers.postgres import PostgresConfig


def test_a_database_out_of_reach_is_one_line_and_exit_code_2(monkeypatch, capsys):
    """No traceback: where it was looked for, and what came of it."""
    psycopg2.extensions.set_wait_callback(None)  # the command's own process has none
    monkeypatch.setattr("sys.argv", ["migrate"])
    monkeypatch.setenv("POSTGRES_HOST", "127.0.0.1")
    monkeypatch.setenv("POSTGRES_PORT", "1")
    with pytest.raises(SystemExit) as exited:
        migrate.main()
    said = capsys.readouterr().err
    assert exited.value.code == 2
    assert said.startswith("cannot migrate: connection to server at")
    assert "port 1 failed: Connection refused" in said
    assert said.count("\n") == 1


@pytest.mark.timeout(10)
def test_a_database_that_never_speaks_is_given_up(monkeypatch):
    """Neither the command nor a service's thread waits for a handshake for ever."""
    monkeypatch.setattr(migrate, "CONNECT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        where = PostgresConfig(host="127.0.0.1", port=port, database="d", user="u", password="p")  # noqa: S106 - nobody checks it
        started = time.monotonic()
        with pytest.raises(migrate.MigrationError, match="in time"):
            migrate.run(where)
        assert time.monotonic() - started < 5
