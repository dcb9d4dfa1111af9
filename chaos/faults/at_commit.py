"""A fault that strikes between a transaction's last statement and the reply to its COMMIT."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.clock import wait_for
from chaos.errors import LabError
from chaos.faults.arguments import check, whole
from chaos.faults.fault import Change, Fault, changes_of
from chaos.guard.undo import COMMIT_GATE, GATE_LOCK, DropCommitGate, Undo
from chaos.lab import Lab
from chaos.results.model import Bite

CAUGHT_WITHIN_S: Final = 5.0

MOST: Final = 50
"""How many transactions can be held at once, at most: each has a connection of its own."""

# What the server keeps: nobody may hold the table, or the gate, for longer.
_LIMITS: Final = "SET statement_timeout = 2000; SET lock_timeout = 1000"

_TABLE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*")

_INSTALL: Final = f"""
CREATE OR REPLACE FUNCTION {COMMIT_GATE}() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE_LOCK}); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER {COMMIT_GATE} AFTER INSERT ON {{table}} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION {COMMIT_GATE}();
"""
# The sessions that wait at the gate, inside their COMMIT, and their transactions.
_WAITING: Final = f"""
SELECT a.backend_xid::text FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.objid = {GATE_LOCK} AND NOT l.granted AND a.backend_xid IS NOT NULL
"""  # noqa: S608  (a constant of ours)


@dataclass(frozen=True, kw_only=True, slots=True)
class AtCommit:
    """Hold transactions inside their COMMIT, inject *fault*, and let them go on.

    A deferred constraint trigger on *table* makes COMMIT wait for a lock that the lab holds, so the
    fault strikes at exactly this moment and the service under test needs no hook. The lab reaches
    Postgres past the proxy.

    Attributes:
        fault: such as ``HalfOpen()``: the commit happens, and its reply is lost.
        table: the table whose inserts are caught, as ``name`` or ``schema.name``.
        at_least: how many commits must be caught before the fault strikes.
    """

    fault: Fault
    table: str
    at_least: int = 1

    def __post_init__(self) -> None:
        check(self, _table(self), whole(self, "at_least", 1, MOST))

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """What *fault* changes, and the gate that says when; raises UsageError for one that varies in time."""
        inner = changes_of(self.fault, lab, on)
        gate = _Gate(lab=lab, on=on, table=self.table, at_least=self.at_least, opens_on=inner)
        return (gate, *(_AtGate(change=change) for change in inner[:-1]), _AtGate(change=inner[-1], then=gate.strike))


@dataclass(frozen=True, kw_only=True, slots=True)
class _AtGate:
    """A change whose undo is owed from now on, and which the gate makes when its moment has come.

    Attributes:
        then: called once the undos of all of them are owed.
    """

    change: Change
    then: Callable[[], None] = field(default=lambda: None)

    @property
    def undo(self) -> Undo:
        return self.change.undo

    def apply(self) -> None:
        """Nothing yet, unless it is the last."""
        self.then()

    def bite(self) -> tuple[Bite, ...]:
        """The change's own evidence."""
        return self.change.bite()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gate:
    """Catches commits; the transactions that it caught are kept for the bite.

    It is the first change, so the last to be undone: transactions that the fault strands hold the table.
    """

    lab: Lab
    on: str
    table: str
    at_least: int
    opens_on: tuple[Change, ...]
    caught: list[str] = field(default_factory=list)

    @property
    def undo(self) -> DropCommitGate:
        return DropCommitGate()

    @property
    def install(self) -> str:
        """What shuts the gate, for whoever does not hold the lock."""
        return _INSTALL.format(table=self.table)

    def apply(self) -> None:
        """Nothing yet."""

    def strike(self) -> None:
        """Shut the gate, catch commits, make the changes, open the gate.

        Raises:
            LabError: too few commits came by within CAUGHT_WITHIN_S, the table is held, or the guard
                has opened the gate.
        """
        self.caught.clear()
        with _session(self.lab) as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [GATE_LOCK])
            cursor.execute(self.install)

            def caught() -> bool:
                return len(_waiting(cursor)) >= self.at_least

            what = f"{self.at_least} commits on {self.table} are caught"
            wait_for(caught, what=what, within_s=CAUGHT_WITHIN_S, every_s=0.002)
            for change in self.opens_on:
                change.apply()
            self.caught.extend(_waiting(cursor))
            cursor.execute("SELECT pg_advisory_unlock(%s)", [GATE_LOCK])

    def bite(self) -> tuple[Bite, ...]:
        """The server has decided the transactions that were caught."""
        with _session(self.lab) as cursor:
            outcomes = [_outcome(cursor, xid) for xid in self.caught]
        committed = outcomes.count("committed")
        return (
            Bite(
                on=self.on,
                expected=f"at least {self.at_least} transactions caught inside COMMIT and then committed unheard",
                measured=f"{len(outcomes)} caught, {committed} of them committed on the server",
                held=committed >= self.at_least,
            ),
        )


@contextmanager
def _session(lab: Lab) -> Iterator[Any]:
    """A cursor whose statements the server ends in time; raises LabError."""
    import psycopg2  # noqa: PLC0415  (hardly ever needed)

    try:
        with closing(lab.postgres()) as connection, connection.cursor() as cursor:
            cursor.execute(_LIMITS)
            yield cursor
    except psycopg2.Error as error:
        msg = f"the commit gate: {str(error).strip()}"
        raise LabError(msg) from error


def _table(fault: AtCommit) -> Iterator[str]:
    if not isinstance(fault.table, str) or not _TABLE.fullmatch(fault.table):
        yield f"table is {fault.table!r}; expected the name of a table, such as 'widgets' or 'public.widgets'"


def _waiting(cursor: Any) -> list[str]:  # noqa: ANN401  (psycopg2 has no usable type)
    cursor.execute(_WAITING)
    return [xid for (xid,) in cursor.fetchall()]


def _outcome(cursor: Any, xid: str) -> str:  # noqa: ANN401  (psycopg2 has no usable type)
    cursor.execute("SELECT pg_xact_status(%s::text::xid8)", [xid])
    (status,) = cursor.fetchone()
    return str(status)
