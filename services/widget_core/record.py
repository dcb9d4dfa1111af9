"""The record of widgets in Postgres."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import psycopg2.errors
import psycopg2.extensions as ext

from services import plants
from services.drivers.postgres import LockTimeout, Postgres
from services.resilience import Deadline, Edge, NotSent
from services.widget_core import sql
from services.widget_core.model import (
    Entry,
    Fields,
    KeyReusedError,
    Mutation,
    NotFoundError,
    Row,
    VersionConflictError,
    Written,
)

T = TypeVar("T")
Values = dict[str, Any]
CREATED = 201
NO_LEASE_S = -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """An edge with the pool behind it: point work and bulk work have one each."""

    edge: Edge
    pool: Postgres

    async def read(self, work: Callable[[ext.connection], T], deadline: Deadline) -> T:
        """Run a statement that changes nothing."""
        return await self.edge.call(lambda left: self.pool.read(work, left), deadline=deadline, safe=True)

    async def write(self, work: Callable[[ext.connection], T], deadline: Deadline, *, safe: bool) -> T:
        """Run a statement that changes something; safe: it may be repeated."""
        return await self.edge.call(lambda left: self.pool.run(work, left), deadline=deadline, safe=safe)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordPolicy:
    """The record's own safeguards."""

    idempotency: bool = True
    outbox: bool = True
    lease_s: float = 1.0


class Record:
    """Read and change widgets."""

    def __init__(self, point: Lane, bulk: Lane, policy: RecordPolicy) -> None:
        """Use *point* for single widgets and *bulk* for the rest."""
        self.point = point
        self.bulk = bulk
        self.policy = policy
        self.replays = 0
        self.conflicts = 0

    async def get(self, wid: str, deadline: Deadline) -> Row:
        """Return the widget, or raise `NotFoundError`."""
        asked = plants.asking(wid)
        found = await self.point.read(lambda db: fetch(db, sql.GET, {"id": asked()}), deadline)
        if not found:
            raise NotFoundError
        return _row(found[0])

    async def page(self, at: str, wid: str, limit: int, deadline: Deadline) -> list[tuple[Row, str]]:
        """Return the next *limit* widgets after that moment and id, each with its moment."""
        values = {"at": at, "id": wid, "limit": limit}
        found = await self.bulk.read(lambda db: fetch(db, sql.PAGE, values), deadline)
        return [(_row(line), line[4]) for line in found]

    async def create(self, wid: str, fields: Fields, mutation: Mutation, deadline: Deadline) -> Written:
        """Record a pending widget, its outbox entry, and the key."""
        values = {**asdict(fields), "id": wid, **self._common(mutation, "create", self.policy.lease_s)}
        return await self._mutate(self.point, sql.CREATE, values, CREATED, deadline)

    async def create_many(self, rows: Sequence[Values], mutation: Mutation, deadline: Deadline) -> Written:
        """Record many pending widgets in one transaction."""
        if plants.on(plants.ONE_BY_ONE) and len(rows) > 1:
            made = [await self.create_many([row], mutation, deadline) for row in rows]
            return Written(status=CREATED, body="", rows=tuple(one.rows[0] for one in made))
        values = {"rows": json.dumps(rows), "id": None, **self._common(mutation, "create", NO_LEASE_S)}
        return await self._mutate(self.bulk, sql.CREATE_MANY, values, CREATED, deadline)

    async def update(
        self, wid: str, fields: Fields, version: int | None, mutation: Mutation, deadline: Deadline
    ) -> Written:
        """Change a widget, if it is at *version* (None: at whatever version)."""
        values = {**asdict(fields), "id": wid, "version": version, **self._common(mutation, "update", NO_LEASE_S)}
        if plants.on(plants.READ_THEN_WRITE):
            values |= await self._as_read(wid, fields, deadline)
        statement = sql.LOCK_TABLE + sql.UPDATE if plants.on(plants.TABLE_LOCK) else sql.UPDATE
        return await self._mutate(self.point, statement, values, 200, deadline)

    async def delete(self, wid: str, version: int | None, mutation: Mutation, deadline: Deadline) -> Written:
        """Delete a widget, if it is at *version* (None: at whatever version)."""
        values = {"id": wid, "version": version, **self._common(mutation, "remove", NO_LEASE_S)}
        seen = plants.on(plants.LOOK_THEN_DELETE) and await self.get(wid, deadline)
        await plants.dawdle(plants.LOOK_THEN_DELETE)
        try:
            return await self._mutate(self.point, sql.DELETE, values, 204, deadline)
        except NotFoundError as error:
            raise (VersionConflictError if seen else error) from None

    async def activate(self, written: Written, mutation: Mutation, deadline: Deadline) -> Row | None:
        """Mark a pending widget active, in one transaction with its outbox entry and response."""
        values = {
            "id": written.rows[0].id,
            "seq": written.entries[0] if written.entries else None,
            "principal": mutation.principal,
            "key": mutation.key,
        }
        found = await self.point.write(lambda db: fetch(db, sql.ACTIVATE, values), deadline, safe=False)
        return _row(found[0]) if found else None

    async def undo(self, wid: str, mutation: Mutation, deadline: Deadline) -> None:
        """Take back a pending widget that ORB Core refuses."""
        values = {"id": wid, "principal": mutation.principal, "key": mutation.key}
        await self.point.write(lambda db: execute(db, sql.UNDO, values), deadline, safe=True)

    async def background(self, statement: str, values: Values, deadline: Deadline) -> list[Any]:
        """Run a statement of the relay or of the reconciliation, all of which may be repeated."""
        try:
            return await self.bulk.write(lambda db: fetch(db, statement, values), deadline, safe=True)
        except LockTimeout:
            message = "somebody else is changing the same thing"
            raise NotSent(message) from None

    async def claim(self, limit: int, deadline: Deadline) -> list[Entry]:
        """Lease the next outbox entries, the oldest of each widget first."""
        values = {"limit": limit, "lease": self.policy.lease_s}
        found = await self.background(sql.CLAIM, values, deadline)
        entries = [Entry(**dict(zip(Entry.__slots__, line, strict=True))) for line in found]
        return sorted(entries, key=lambda entry: entry.seq)

    async def _mutate(self, lane: Lane, statement: str, values: Values, status: int, deadline: Deadline) -> Written:
        # Without a stored key a repeat would be a second effect: then unknown stays unknown.
        try:
            written = await lane.write(
                lambda db: _mutation(db, statement, values, status), deadline, safe=values["safe"]
            )
        except VersionConflictError:
            self.conflicts += 1
            raise
        self.replays += written.replayed
        return written

    async def _as_read(self, wid: str, fields: Fields, deadline: Deadline) -> Values:
        """Return every member that *fields* leave alone, as it is read now: a planted defect."""
        seen = json.loads((await self.get(wid, deadline)).body)
        seen["payload"] = json.dumps(seen["payload"])
        return {"version": None} | {name: seen[name] for name, value in asdict(fields).items() if value is None}

    def _common(self, mutation: Mutation, kind: str, lease_s: float) -> Values:
        return {
            "principal": mutation.principal,
            "key": mutation.key if self.policy.idempotency else None,
            "fingerprint": mutation.fingerprint,
            "kind": kind,
            "outbox": self.policy.outbox,
            "lease": lease_s if math.isfinite(lease_s) else 0,
            "safe": mutation.key is not None,
        }


def fetch(db: ext.connection, statement: str, values: Values) -> list[Any]:
    """Return all rows of a statement."""
    with db.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def execute(db: ext.connection, statement: str, values: Values) -> None:
    """Run a statement that returns nothing."""
    with db.cursor() as cursor:
        cursor.execute(statement, values)


def _mutation(db: ext.connection, statement: str, values: Values, status: int) -> Written:
    try:
        found = fetch(db, statement, values)
    except psycopg2.errors.UniqueViolation:
        return _replayed(db, values)
    if not found:
        return _why_not(db, values)
    rows = tuple(_row(line) for line in found)
    entries = tuple(line[4] for line in found if line[4] is not None)
    return Written(status=status, body=rows[0].body, rows=rows, entries=entries)


def _replayed(db: ext.connection, values: Values) -> Written:
    """Return what the other one was told who came with the same key at the same moment, and has won."""
    try:
        return _why_not(db, values)
    except NotFoundError:
        message = "the request that had the key was undone"
        raise NotSent(message) from None


def _why_not(db: ext.connection, values: Values) -> Written:
    fingerprint, status, response, version = fetch(db, sql.WHY_NOT, values)[0]
    if fingerprint is not None:
        if bytes(fingerprint) != values["fingerprint"]:
            raise KeyReusedError
        return Written(status=status, body=response, replayed=True)
    if version is None:
        raise NotFoundError
    raise VersionConflictError


def _row(line: Sequence[Any]) -> Row:
    return Row(id=line[0], version=line[1], state=line[2], body=line[3])
