"""Changing widgets: the record first, then ORB Core, and nothing forgotten in between."""

import json
from collections.abc import Sequence
from uuid import uuid4

from services.contract.widgets import WidgetIn, WidgetPatch
from services.resilience import Deadline, DependencyFailed, Rejected
from services.web.problems import Problem
from services.widget_core.model import Entry, Fields, Mutation, Row, Written
from services.widget_core.orb import OrbCoreClient, OrbSpec, Refused
from services.widget_core.reading import Reader
from services.widget_core.record import Record
from services.widget_core.relay import Relay


class Writer:
    """The use cases that change something."""

    def __init__(self, record: Record, orb: OrbCoreClient, reader: Reader, relay: Relay) -> None:
        """Use these parts."""
        self._record = record
        self._orb = orb
        self._reader = reader
        self._relay = relay

    async def create(self, wanted: WidgetIn, mutation: Mutation, deadline: Deadline) -> tuple[Written, bool]:
        """Make a widget; the flag tells whether its native object is still to come."""
        wid = str(uuid4())
        fields = _fields(wanted)
        written = await self._record.create(wid, fields, mutation, deadline)
        if written.replayed:
            return written, False
        made = await self._make_native(written, fields, mutation, deadline)
        row = await self._record.activate(written, mutation, deadline) if made else None
        row = row or written.rows[0]
        await self._reader.remember(row, deadline)
        return Written(status=written.status, body=row.body, rows=(row,)), not made

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

    async def _make_native(self, written: Written, fields: Fields, mutation: Mutation, deadline: Deadline) -> bool:
        row = written.rows[0]
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
        except (DependencyFailed, Rejected):
            return False  # recorded, and acknowledged as pending: the relay finishes it
        return True

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


def _fields(wanted: WidgetIn | WidgetPatch) -> Fields:
    return Fields(
        name=wanted.name,
        description=wanted.description,
        payload=None if wanted.payload is None else json.dumps(wanted.payload),
        critical=wanted.critical,
    )
