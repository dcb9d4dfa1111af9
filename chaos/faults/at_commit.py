"""A fault that strikes between a transaction's last statement and the reply to its COMMIT."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.clock import wait_for
from chaos.faults.fault import Fault
from chaos.lab import Lab
from chaos.results.model import Bite

CAUGHT_WITHIN_S: Final = 5.0

_LOCK: Final = 7_702_511
_GATE: Final = "chaos_lab_commit_gate"

_INSTALL: Final = f"""
CREATE OR REPLACE FUNCTION {_GATE}() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared({_LOCK}); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER {_GATE} AFTER INSERT ON {{table}} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION {_GATE}();
"""
_REMOVE: Final = f"DROP FUNCTION IF EXISTS {_GATE}() CASCADE"
# The sessions that wait at the gate, inside their COMMIT, and their transactions.
_WAITING: Final = f"""
SELECT a.backend_xid::text FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.objid = {_LOCK} AND NOT l.granted AND a.backend_xid IS NOT NULL
"""  # noqa: S608  (two constants of ours)


@dataclass(frozen=True, kw_only=True, slots=True)
class AtCommit:
    """Hold transactions inside their COMMIT, inject *fault*, and let them go on.

    A deferred constraint trigger on *table* makes COMMIT wait for a lock that the lab holds, so the
    fault strikes at exactly this moment and the service under test needs no hook. The lab reaches
    Postgres past the proxy.

    Attributes:
        fault: such as ``HalfOpen()``: the commit happens, and its reply is lost.
        table: the table whose inserts are caught.
        at_least: how many commits must be caught before the fault strikes.
    """

    fault: Fault
    table: str
    at_least: int = 1
    _caught: list[str] = field(default_factory=list, repr=False, compare=False)

    def inject(self, lab: Lab, on: str) -> None:
        """Shut the gate, catch commits, inject the fault, open the gate.

        Raises:
            LabError: too few commits came by within CAUGHT_WITHIN_S.
        """
        self._caught.clear()
        with closing(lab.postgres()) as keeper, keeper.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            cursor.execute(_INSTALL.format(table=self.table))

            def caught() -> list[str] | None:
                cursor.execute(_WAITING)
                found = [xid for (xid,) in cursor.fetchall()]
                return found if len(found) >= self.at_least else None

            what = f"{self.at_least} commits on {self.table} are caught"
            wait_for(caught, what=what, within_s=CAUGHT_WITHIN_S, every_s=0.002)
            self.fault.inject(lab, on)
            cursor.execute(_WAITING)
            self._caught.extend(xid for (xid,) in cursor.fetchall())
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])

    def bite(self, lab: Lab, on: str) -> tuple[Bite, ...]:
        """The fault itself took hold, and the server has decided the transactions that were caught."""
        with closing(lab.postgres()) as connection, connection.cursor() as cursor:
            outcomes = [_outcome(cursor, xid) for xid in self._caught]
        committed = outcomes.count("committed")
        mine = Bite(
            on=on,
            expected=f"at least {self.at_least} transactions caught inside COMMIT and then committed unheard",
            measured=f"{len(outcomes)} caught, {committed} of them committed on the server",
            held=committed >= self.at_least,
        )
        return (mine, *self.fault.bite(lab, on))

    def heal(self, lab: Lab, on: str) -> None:
        """Heal the fault and remove the gate, which stands open since the fault struck."""
        self.fault.heal(lab, on)
        with closing(lab.postgres()) as connection, connection.cursor() as cursor:
            cursor.execute(_REMOVE)


def _outcome(cursor: Any, xid: str) -> str:  # noqa: ANN401  (psycopg2 has no usable type)
    cursor.execute("SELECT pg_xact_status(%s::text::xid8)", [xid])
    (status,) = cursor.fetchone()
    return str(status)
