"""The relay: tells ORB Core what the outbox says, at least once, in order per widget."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from itertools import groupby

from services.resilience import Deadline, DependencyFailed, Rejected
from services.widget_core import sql
from services.widget_core.model import Entry, Row
from services.widget_core.orb import Gone, OrbCoreClient, OrbSpec, Refused, Stale
from services.widget_core.reading import Reader
from services.widget_core.record import Record

log = logging.getLogger(__name__)
BATCH = 100
ROUND_S = 5.0
KEYS_KEPT_H = 24
PURGE_S = 3600


class Relay:
    """Deliver outbox entries. Several may run at once, in this process or in others."""

    def __init__(
        self, record: Record, orb: OrbCoreClient, reader: Reader, *, pause_s: float, mark_after: bool = True
    ) -> None:
        """Look for entries every *pause_s* seconds, or at once after `kick`."""
        self._record = record
        self._orb = orb
        self._reader = reader
        self._pause_s = pause_s
        self._mark_after = mark_after
        self._kicked = asyncio.Event()
        self.delivered = 0

    def kick(self) -> None:
        """Say that there is something to deliver."""
        self._kicked.set()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            try:
                worked = await self.once()
            except (DependencyFailed, Rejected) as error:
                log.info("the relay waits: %s", error)
                worked = 0
                await asyncio.sleep(self._pause_s)
            if worked < BATCH:
                await self._rest()

    async def purge(self) -> None:
        """Forget old idempotency keys, now and every hour."""
        while True:
            with contextlib.suppress(DependencyFailed, Rejected):
                deadline = Deadline.after(ROUND_S, time.monotonic)
                await self._record.background(sql.PURGE, {"hours": KEYS_KEPT_H}, deadline)
            await asyncio.sleep(PURGE_S)

    async def once(self) -> int:
        """Deliver one batch and return its size."""
        deadline = Deadline.after(ROUND_S, time.monotonic)
        entries = await self._record.claim(BATCH, deadline)
        if not entries:
            return 0
        if not self._mark_after:  # what a naive relay does: done before it is done
            await self._record.background(f"{sql.MARK} RETURNING seq", _seqs(entries), deadline)
        try:
            await self.deliver(entries, deadline)
        except (DependencyFailed, Rejected):
            await self._record.background(f"{sql.RELEASE} RETURNING seq", _seqs(entries), deadline)
            raise
        return len(entries)

    async def deliver(self, entries: Sequence[Entry], deadline: Deadline) -> None:
        """Tell ORB Core of *entries* in their order, and mark them."""
        for kind, group in groupby(entries, key=lambda entry: entry.kind):
            batch = list(group)
            if kind == "create":
                await self._create(batch, deadline)
            else:
                for entry in batch:
                    await self._tell(entry, deadline)
            await self._mark(batch, deadline)

    async def _create(self, batch: Sequence[Entry], deadline: Deadline) -> None:
        try:
            await self._orb.create_many([spec(entry) for entry in batch], deadline)
        except Refused:
            for entry in batch:
                await self._create_one(entry, deadline)

    async def _create_one(self, entry: Entry, deadline: Deadline) -> None:
        try:
            await self._orb.create(spec(entry), deadline)
        except Refused:
            values = {"seq": entry.seq, "id": entry.widget_id}
            await self._record.background(f"{sql.REFUSED} RETURNING id", values, deadline)

    async def _tell(self, entry: Entry, deadline: Deadline) -> None:
        if entry.kind == "remove":
            await self._orb.remove(entry.widget_id, entry.op_id, deadline)
            return
        try:
            await self._orb.update(spec(entry), deadline)
        except Gone:  # ORB Core was restarted and knows nothing of the widget
            await self._create_one(entry, deadline)
        except Stale:
            log.debug("revision %d of %s came late", entry.revision, entry.widget_id)

    async def _mark(self, batch: Sequence[Entry], deadline: Deadline) -> None:
        created = [entry.widget_id for entry in batch if entry.kind != "remove"]
        values = {**_seqs(batch), "created": created}
        self.delivered += len(batch)
        for line in await self._record.background(sql.DELIVERED, values, deadline):
            row = Row(id=line[0], version=line[1], state=line[2], body=line[3])
            await self._reader.remember(row, deadline)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._pause_s):
                await self._kicked.wait()
        except TimeoutError:
            return
        self._kicked.clear()


def spec(entry: Entry) -> OrbSpec:
    """Return the native object that *entry* asks for."""
    return OrbSpec(
        widget_id=entry.widget_id,
        revision=entry.revision,
        critical=entry.critical,
        payload=entry.payload,
        key=entry.op_id,
    )


def _seqs(entries: Sequence[Entry]) -> dict[str, list[int]]:
    return {"seqs": [entry.seq for entry in entries]}
