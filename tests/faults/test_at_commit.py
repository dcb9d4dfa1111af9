"""A fault strikes inside COMMIT, and its gate opens and goes whatever happens to the runner."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import psycopg2
import pytest

from chaos import AtCommit, Blackhole, HalfOpen, Pause, inject
from chaos.clock import now_ns, seconds, wait_for
from chaos.errors import FaultError, LabError
from chaos.guard import outside
from chaos.guard.undo import COMMIT_GATE, GATE_LOCK, DropCommitGate
from chaos.lab import Lab

EDGE = "web.postgres"
pytestmark = pytest.mark.integration


@pytest.fixture
def table(lab: Lab) -> Iterator[str]:
    """A table to insert into; whoever is still connected is not any more when it goes."""
    ask(lab, "CREATE TABLE caught (n int)")
    yield "caught"
    ask(lab, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = user AND pid <> pg_backend_pid()")
    ask(lab, f"DROP FUNCTION IF EXISTS {COMMIT_GATE}() CASCADE")
    ask(lab, "DROP TABLE caught")


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    """Those who insert meanwhile."""
    with ThreadPoolExecutor() as pool:
        yield pool


def ask(lab: Lab, statement: str) -> list[tuple]:
    """Ask the server past the proxy."""
    with closing(lab.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def gate_stands(lab: Lab) -> bool:
    """Whether inserts are held at COMMIT from now on."""
    return bool(ask(lab, f"SELECT 1 FROM pg_trigger WHERE tgname = '{COMMIT_GATE}'"))  # noqa: S608  (a constant)


@contextmanager
def client(lab: Lab) -> Iterator[psycopg2.extensions.connection]:
    """A connection over the edge; it may break."""
    address = lab.edge(EDGE).listen
    login = lab.config.postgres_login()
    with closing(psycopg2.connect(host=address.host, port=address.port, **login)) as connection:
        yield connection


def insert(lab: Lab, number: int, *, once_gated: bool = True) -> None:
    """Insert a row over the edge and commit."""
    with suppress(psycopg2.Error), client(lab) as connection, connection.cursor() as cursor:
        if once_gated:
            wait_for(lambda: gate_stands(lab), what="the gate stands", within_s=5)
        cursor.execute("INSERT INTO caught VALUES (%s)", [number])
        connection.commit()


@pytest.mark.parametrize("fault", [Blackhole(), HalfOpen()], ids=repr)
def test_the_transaction_is_committed_and_its_reply_lost(
    lab: Lab, table: str, clients: ThreadPoolExecutor, fault: Blackhole
) -> None:
    """It bites, and after the heal no gate is left."""
    lost = clients.submit(insert, lab, 1)
    effect = inject(AtCommit(fault=fault, table=table), lab, EDGE)
    assert all(bite.held for bite in effect.bite()), effect.bite()
    assert not lost.done()
    effect.heal()
    lost.result(timeout=5)
    assert ask(lab, "SELECT n FROM caught") == [(1,)]
    assert not gate_stands(lab)
    lab.prove_healed(lab.edge(EDGE))


def test_too_few_commits_are_an_error_and_leave_nothing(lab: Lab, table: str) -> None:
    """The gate goes, and the edge was never broken."""
    with pytest.raises(LabError, match="waiting until 1 commits on caught are caught"):
        inject(AtCommit(fault=Blackhole(), table=table), lab, EDGE)
    assert not gate_stands(lab)
    lab.prove_healed(lab.edge(EDGE))


def test_a_table_that_does_not_exist_is_named(lab: Lab) -> None:
    """By the server, in an error of the lab's."""
    with pytest.raises(LabError, match='the commit gate: relation "nowhere" does not exist'):
        inject(AtCommit(fault=Blackhole(), table="nowhere"), lab, EDGE)


def test_a_table_that_somebody_holds_is_not_waited_for(lab: Lab, table: str) -> None:
    """The server gives up soon."""
    with client(lab) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO caught VALUES (1)")
        with pytest.raises(LabError, match="the commit gate: canceling statement due to lock timeout"):
            inject(AtCommit(fault=Blackhole(), table=table), lab, EDGE)


def test_transactions_that_the_fault_strands_do_not_keep_the_gate(
    lab: Lab, table: str, clients: ThreadPoolExecutor
) -> None:
    """They hold the table until the edge is healed, so the gate goes last."""
    with client(lab) as stranded, stranded.cursor() as cursor:

        def strand_then_insert() -> None:
            wait_for(lambda: gate_stands(lab), what="the gate stands", within_s=5)
            cursor.execute("INSERT INTO caught VALUES (1)")
            insert(lab, 2)

        caught = clients.submit(strand_then_insert)
        effect = inject(AtCommit(fault=Blackhole(), table=table), lab, EDGE)
        began_ns = now_ns()
        effect.heal()
        assert seconds(now_ns() - began_ns) < 2
        caught.result(timeout=5)
    assert not gate_stands(lab)


def test_the_guard_opens_a_gate_whose_runner_hangs(lab: Lab, table: str, clients: ThreadPoolExecutor) -> None:
    """It ends the session that holds the lock; then what was caught goes on, and the gate can be dropped."""
    with closing(lab.postgres()) as hung, hung.cursor() as cursor:
        waiting = _held_at_gate(lab, cursor, clients)
        DropCommitGate().perform(_guards(lab), ())
        waiting.result(timeout=5)
    assert not gate_stands(lab)
    assert ask(lab, "SELECT n FROM caught") == [(1,)]


def test_a_gate_that_waits_too_long_is_opened_at_the_maximum_duration(
    lab_of_its_own: Lab, clients: ThreadPoolExecutor
) -> None:
    """The guard does not wait until the runner has given up, which learns of it at once."""
    lab = lab_of_its_own
    ask(lab, "CREATE TABLE caught (n int)")
    waiting = clients.submit(insert, lab, 1)
    began_ns = now_ns()
    with pytest.raises(LabError, match=r"the commit gate: .*connection"):
        inject(AtCommit(fault=Blackhole(), table="caught", at_least=2), lab, EDGE, at_most_s=0.5)
    assert seconds(now_ns() - began_ns) < 3
    waiting.result(timeout=5)
    assert ask(lab, "SELECT n FROM caught") == [(1,)]
    assert not gate_stands(lab)


def test_a_server_that_is_silent_is_not_waited_for(lab: Lab) -> None:
    """No limit that the server keeps would help."""
    effect = inject(Pause(), lab, "postgres")
    began_ns = now_ns()
    with pytest.raises(LabError, match="no answer in time"):
        DropCommitGate().perform(_guards(lab), ())
    assert seconds(now_ns() - began_ns) < 4
    effect.heal()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"table": "x; drop table y"}, "table is 'x; drop table y'"),
        ({"table": ""}, "table is ''"),
        ({"table": "a.b.c"}, "table is 'a.b.c'"),
        ({"table": "x", "at_least": 0}, "at_least is 0"),
        ({"table": "x", "at_least": -3}, "at_least is -3"),
        ({"table": "x", "at_least": True}, "at_least is True"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(wrong: dict, says: str) -> None:
    """Before anything is touched."""
    with pytest.raises(FaultError, match=says):
        AtCommit(fault=Blackhole(), **wrong)


def _held_at_gate(lab: Lab, cursor: psycopg2.extensions.cursor, clients: ThreadPoolExecutor) -> Future:
    """Hold a transaction inside its COMMIT, as the runner does."""
    cursor.execute("SELECT pg_advisory_lock(%s)", [GATE_LOCK])
    cursor.execute(AtCommit(fault=Blackhole(), table="caught").changes(lab, EDGE)[0].install)
    waiting = clients.submit(insert, lab, 1)
    held = f"SELECT 1 FROM pg_locks WHERE objid = {GATE_LOCK} AND NOT granted"  # noqa: S608  (a constant)
    wait_for(lambda: ask(lab, held), what="it is held", within_s=5)
    return waiting


def _guards(lab: Lab) -> outside.Reach:
    """What the guard can reach."""
    return outside.reach(lab.recorded, lab.config.postgres_login())
