"""Users, tokens, keys and revocations in Postgres."""

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg2.extensions as ext

from services.drivers.postgres import Postgres
from services.resilience import Deadline, DependencyFailed, Edge, Rejected
from services.security import sql

T = TypeVar("T")
Values = dict[str, Any]


class Store:
    """One edge to the database, and whether actions are audited in their own transaction."""

    def __init__(self, edge: Edge, pool: Postgres, *, same_tx: bool = True) -> None:
        """With *same_tx* off an action is done first and its record written if that works."""
        self.edge = edge
        self.pool = pool
        self._same_tx = same_tx

    async def read(self, statement: str, values: Values, deadline: Deadline) -> list[Any]:
        """Return the rows of a statement that changes nothing."""
        return await self.edge.call(
            lambda left: self.pool.read(_rows(statement, values), left), deadline=deadline, safe=True
        )

    async def write(self, statement: str, values: Values, deadline: Deadline, *, safe: bool = False) -> list[Any]:
        """Return the rows of a statement that changes something; safe: it may be repeated."""
        values = {"audit": self._same_tx, **values}
        found = await self.edge.call(
            lambda left: self.pool.run(_rows(statement, values), left), deadline=deadline, safe=safe
        )
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
            await self.edge.call(lambda left: self.pool.run(_rows(sql.AUDIT_APPEND, record), left), deadline=deadline)
        except (DependencyFailed, Rejected):
            return


def _rows(statement: str, values: Values) -> Callable[[ext.connection], list[Any]]:
    def work(db: ext.connection) -> list[Any]:
        with db.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    return work
