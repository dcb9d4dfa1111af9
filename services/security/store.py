"""Users, tokens, keys and revocations in Postgres."""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg2.extensions as ext

from services.drivers.postgres import LockTimeout, Postgres
from services.resilience import Deadline, DependencyFailed, Edge, Overloaded, Rejected
from services.security import sql

Values = dict[str, Any]
Work = Callable[[ext.connection], list[Any]]
Run = Callable[[Work, Deadline], Awaitable[list[Any]]]
LOCKED_S = 0.1


class Store:
    """One edge to the database, and whether actions are audited in their own transaction."""

    def __init__(self, edge: Edge, pool: Postgres, *, same_tx: bool = True) -> None:
        """With *same_tx* off an action is done first and its record written if that works."""
        self.edge = edge
        self.pool = pool
        self._same_tx = same_tx

    async def read(self, statement: str, values: Values, deadline: Deadline) -> list[Any]:
        """Return the rows of a statement that changes nothing."""
        return await self._ask(self.pool.read, statement, values, deadline, safe=True)

    async def write(self, statement: str, values: Values, deadline: Deadline, *, safe: bool = False) -> list[Any]:
        """Return the rows of a statement that changes something; safe: it may be repeated."""
        values = {"audit": self._same_tx, **values}
        found = await self._ask(self.pool.run, statement, values, deadline, safe=safe)
        if not self._same_tx and "%(audit)s" in statement:
            await self._audit_afterwards(values, deadline)
        return found

    async def _audit_afterwards(self, values: Values, deadline: Deadline) -> None:
        record = {
            "actor": str(values.get("actor", values.get("id", ""))),
            "action": "unknown",
            "subject": str(values.get("id", "")),
            "detail": "",
        }
        try:
            await self._ask(self.pool.run, sql.AUDIT_APPEND, record, deadline)
        except (DependencyFailed, Rejected):
            return

    async def _ask(
        self, how: Run, statement: str, values: Values, deadline: Deadline, *, safe: bool = False
    ) -> list[Any]:
        """Return the rows; raises `Overloaded` when others hold what is asked for too long: nothing is done."""
        work = _rows(statement, values)
        try:
            return await self.edge.call(lambda left: how(work, left), deadline=deadline, safe=safe)
        except LockTimeout:
            message = "somebody else is changing the same thing"
            raise Overloaded(message, retry_after=LOCKED_S) from None


def _rows(statement: str, values: Values) -> Work:
    def work(db: ext.connection) -> list[Any]:
        with db.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    return work
