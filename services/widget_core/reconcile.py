"""Reconciliation: at rest, the native objects of ORB Core are those of the recorded widgets."""

import asyncio
import logging
import time
from uuid import uuid4

from services.resilience import Deadline, DependencyFailed, Rejected
from services.widget_core import sql
from services.widget_core.model import is_widget_id
from services.widget_core.orb import OrbCoreClient
from services.widget_core.record import Record
from services.widget_core.relay import Relay

log = logging.getLogger(__name__)
PAGE = 500
ROUND_S = 5.0
FULL_EVERY = 30
NIL = "00000000-0000-0000-0000-000000000000"


class Reconciler:
    """Compare now and then, and repair through the outbox and by removing orphans.

    Counting is cheap and comparing is not: both are compared in full when the counts differ
    while the outbox is empty, when ORB Core was restarted, and now and then anyway.
    """

    def __init__(self, record: Record, orb: OrbCoreClient, relay: Relay, *, pause_s: float) -> None:
        """Look every *pause_s* seconds."""
        self._record = record
        self._orb = orb
        self._relay = relay
        self._pause_s = pause_s
        self._boot_id: str | None = None
        self._round = 0
        self.repaired = 0
        self.orphans = 0

    async def run(self) -> None:
        """Reconcile for ever."""
        while True:
            try:
                await self.once()
            except (DependencyFailed, Rejected) as error:
                log.info("reconciliation waits: %s", error)
            await asyncio.sleep(self._pause_s)

    async def once(self) -> None:
        """Look at the counts, and compare in full if there is reason to."""
        deadline = Deadline.after(ROUND_S, time.monotonic)
        boot_id, live = await self._orb.usage(deadline)
        [(count, busy)] = await self._record.background(sql.CENSUS, {}, deadline)
        self._round += 1
        restarted = boot_id != self._boot_id
        if restarted or (not busy and (live != count or self._round % FULL_EVERY == 0)):
            await self.compare()
        self._boot_id = boot_id

    async def compare(self) -> None:
        """Walk through both sides in order of the ids, a page at a time, and repair."""
        after: str | None = NIL
        while after is not None:
            after = await self._page(after)

    async def _page(self, after: str) -> str | None:
        """Compare one page, return the id to go on after, None at the end."""
        deadline = Deadline.after(ROUND_S, time.monotonic)
        listed = dict(await self._orb.list("" if after == NIL else after, PAGE, deadline))
        await self._remove([wid for wid in listed if not is_widget_id(wid)], deadline)
        native = {wid: revision for wid, revision in listed.items() if is_widget_id(wid)}
        last = max(native, default=after) if len(listed) == PAGE else None
        values = {"after": after, "last": last, "limit": PAGE}
        recorded = dict(await self._record.background(sql.RECORDED, values, deadline))
        if len(recorded) == PAGE:
            # The record goes on beyond what fits: judge only as far as both were read.
            last = min(last, max(recorded)) if last else max(recorded)
            native = {wid: revision for wid, revision in native.items() if wid <= last}
        await self._repair(recorded, native, deadline)
        return last

    async def _repair(self, recorded: dict[str, int], native: dict[str, int], deadline: Deadline) -> None:
        missing = [wid for wid in recorded if wid not in native]
        behind = [wid for wid, version in recorded.items() if wid in native and native[wid] < version]
        for kind, ids in (("create", missing), ("update", behind)):
            if ids:
                self.repaired += len(ids)
                statement = f"{sql.ENQUEUE} RETURNING seq"
                await self._record.background(statement, {"kind": kind, "ids": ids}, deadline)
                self._relay.kick()
        await self._remove_orphans([wid for wid in native if wid not in recorded], deadline)

    async def _remove_orphans(self, suspects: list[str], deadline: Deadline) -> None:
        # A row is recorded before its native object is made, and the suspects were listed
        # before this question is asked: whatever is not recorded now is nobody's.
        if not suspects:
            return
        found = await self._record.background(sql.ORPHANS, {"ids": suspects}, deadline)
        await self._remove([wid for (wid,) in found], deadline)

    async def _remove(self, orphans: list[str], deadline: Deadline) -> None:
        for wid in orphans:
            self.orphans += 1
            await self._orb.remove(wid, str(uuid4()), deadline)
