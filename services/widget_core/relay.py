"""The relay: tells ORB Core what the outbox says, at least once, in order per widget."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any

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
PURGE_S, PURGE_AGAIN_S = 3600, 60
PURGED_AT_ONCE = 1000


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
            if not worked:  # a claim takes the oldest entry of each widget only: there may be more
                await self._rest()

    async def purge(self) -> None:
        """Forget old idempotency keys, now and every hour, in batches: one statement for all could end in none."""
        values = {"hours": KEYS_KEPT_H, "limit": PURGED_AT_ONCE}
        while True:
            try:
                deadline = Deadline.after(ROUND_S, time.monotonic)
                [(gone,)] = await self._record.background(sql.PURGE, values, deadline)
                pause_s = 0 if gone == PURGED_AT_ONCE else PURGE_S
            except (DependencyFailed, Rejected) as error:
                log.info("old keys are kept for a while: %s", error)
                pause_s = PURGE_AGAIN_S
            await asyncio.sleep(pause_s)

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
            refused = await self._tell(kind, batch, deadline)
            await self._mark([entry for entry in batch if entry not in refused], deadline)
            await self._fail(refused, deadline)

    async def _tell(self, kind: str, batch: Sequence[Entry], deadline: Deadline) -> list[Entry]:
        """Return those that ORB Core refuses: nothing may wait behind them."""
        if kind == "create":
            with contextlib.suppress(Refused):
                await self._orb.create_many([spec(entry) for entry in batch], deadline)
                return []
        tell = {"create": self._create, "update": self._update, "remove": self._remove}[kind]
        return [entry for entry in batch if not await tell(entry, deadline)]

    async def _create(self, entry: Entry, deadline: Deadline) -> bool:
        try:
            await self._orb.create(spec(entry), deadline)
        except Refused:
            return not await self._remove(entry, deadline)
        return True

    async def _update(self, entry: Entry, deadline: Deadline) -> bool:
        try:
            await self._orb.update(spec(entry), deadline)
        except Gone:  # ORB Core was restarted and knows nothing of the widget
            return await self._create(entry, deadline)
        except Refused:  # of a widget that has failed it holds no earlier state either
            return not await self._remove(entry, deadline)
        except Stale:
            log.debug("revision %d of %s came late", entry.revision, entry.widget_id)
        return True

    async def _remove(self, entry: Entry, deadline: Deadline) -> bool:
        await self._orb.remove(entry.widget_id, entry.op_id, deadline)
        return True

    async def _mark(self, batch: Sequence[Entry], deadline: Deadline) -> None:
        made = [entry.widget_id for entry in batch if entry.kind != "remove"]
        self.delivered += len(batch)
        await self._note(sql.DELIVERED, batch, {"made": made}, deadline)

    async def _fail(self, batch: Sequence[Entry], deadline: Deadline) -> None:
        ids, revisions = [entry.widget_id for entry in batch], [entry.revision for entry in batch]
        await self._note(sql.REFUSED, batch, {"ids": ids, "revisions": revisions}, deadline)

    async def _note(self, statement: str, batch: Sequence[Entry], values: dict[str, Any], deadline: Deadline) -> None:
        """Take *batch* out of the outbox, and let readers know what has become of the widgets."""
        if not batch:
            return
        for line in await self._record.background(statement, {**_seqs(batch), **values}, deadline):
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
