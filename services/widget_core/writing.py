"""Changing widgets: the record first, then ORB Core, and nothing forgotten in between."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from services import plants
from services.contract.widgets import WidgetIn, WidgetPatch
from services.drivers.postgres import LockTimeout
from services.resilience import Deadline, DependencyFailed, Rejected
from services.web.problems import Problem
from services.widget_core.model import Entry, Fields, Mutation, Row, Written
from services.widget_core.orb import OrbCoreClient, OrbSpec, Refused
from services.widget_core.reading import Reader
from services.widget_core.record import CREATED, Record
from services.widget_core.relay import Relay

log = logging.getLogger(__name__)


class Writer:
    """The use cases that change something."""

    def __init__(
        self, record: Record, orb: OrbCoreClient, reader: Reader, relay: Relay, *, ack_after_commit: bool = True
    ) -> None:
        """Use these parts; with *ack_after_commit* off a new widget is acknowledged first and recorded then."""
        self._record = record
        self._orb = orb
        self._reader = reader
        self._relay = relay
        self._ack_after_commit = ack_after_commit
        self._promised: set[asyncio.Task[None]] = set()

    async def create(self, wanted: WidgetIn, mutation: Mutation, deadline: Deadline) -> tuple[Written, str | None]:
        """Make a widget; while it is pending, say which edge it was that kept it so."""
        await plants.pass_gate()
        wid = plants.new_id()
        fields = _fields(wanted)
        recording = self._record.create(wid, fields, mutation, deadline)
        written = await recording if self._ack_after_commit else self._promise(wid, wanted, mutation, recording)
        if written.replayed:
            return written, None
        row, degraded = written.rows[0], None
        try:
            await self._make_native(row, fields, mutation, deadline)
            row = await self._record.activate(written, mutation, deadline) or row
        except (DependencyFailed, Rejected) as error:
            degraded = error.edge  # recorded, and acknowledged as pending: the relay finishes it
        except LockTimeout:
            log.debug("the relay is at widget %s already", row.id)
        await self._reader.remember(row, deadline)
        return Written(status=written.status, body=row.body, rows=(row,)), degraded

    async def create_many(self, wanted: Sequence[WidgetIn], mutation: Mutation, deadline: Deadline) -> Written:
        """Make many widgets in one transaction; the relay makes their native objects."""
        rows = [{"id": str(uuid4()), **item.model_dump()} for item in wanted]
        written = await self._record.create_many(rows, mutation, deadline)
        if written.replayed:
            return written
        await self._tell("create", written.rows, deadline)
        body = f'{{"widgets":[{",".join(row.body for row in written.rows)}]}}'
        return Written(status=written.status, body=body, rows=written.rows)

    async def update(
        self, wid: str, wanted: WidgetIn | WidgetPatch, version: int | None, mutation: Mutation, deadline: Deadline
    ) -> Written:
        """Change a widget that is at *version*."""
        written = await self._record.update(wid, _fields(wanted), version, mutation, deadline)
        if not written.replayed:
            await self._reader.remember(written.rows[0], deadline)
            await self._tell("update", written.rows, deadline)
        return written

    async def delete(self, wid: str, version: int | None, mutation: Mutation, deadline: Deadline) -> Written:
        """Delete a widget that is at *version*."""
        written = await self._record.delete(wid, version, mutation, deadline)
        if not written.replayed:
            await self._reader.forget(wid, written.rows[0].version, deadline)
            await self._tell("remove", written.rows, deadline)
        return written

    async def _make_native(self, row: Row, fields: Fields, mutation: Mutation, deadline: Deadline) -> None:
        wanted = OrbSpec(
            widget_id=row.id,
            revision=row.version,
            critical=bool(fields.critical),
            payload=fields.payload or "{}",
            key=row.id,
        )
        try:
            await self._orb.create(wanted, deadline)
        except Refused:
            await self._record.undo(row.id, mutation, deadline)
            raise Problem(422, "native-refused", "ORB Core will not hold such a widget") from None

    def _promise(self, wid: str, wanted: WidgetIn, mutation: Mutation, recording: Awaitable[Written]) -> Written:
        """Return a widget that is recorded in the background, or is not: what who answers too early does."""
        task = asyncio.create_task(_hope(recording))
        self._promised.add(task)
        task.add_done_callback(self._promised.discard)
        now = datetime.now(UTC).isoformat()
        state = {"state": "pending", "version": 1, "owner": mutation.principal, "created_at": now, "updated_at": now}
        row = Row(id=wid, version=1, state="pending", body=json.dumps({"id": wid, **wanted.model_dump(), **state}))
        return Written(status=CREATED, body=row.body, rows=(row,))

    async def _tell(self, kind: str, rows: Sequence[Row], deadline: Deadline) -> None:
        if self._record.policy.outbox:
            self._relay.kick()
            return
        # What a dual write does: tell ORB Core after the commit, and hope.
        for row in rows:
            document = json.loads(row.body)
            entry = Entry(
                seq=0,
                widget_id=row.id,
                kind=kind,
                revision=row.version,
                critical=document["critical"],
                payload=json.dumps(document["payload"]),
                op_id=str(uuid4()),
            )
            try:
                await self._relay.deliver([entry], deadline)
            except (DependencyFailed, Rejected):
                return


async def _hope(recording: Awaitable[Written]) -> None:
    with contextlib.suppress(DependencyFailed, Rejected):
        await recording


def _fields(wanted: WidgetIn | WidgetPatch) -> Fields:
    return Fields(
        name=wanted.name,
        description=wanted.description,
        payload=None if wanted.payload is None else json.dumps(wanted.payload, ensure_ascii=False),
        critical=wanted.critical,
    )
