"""What a single client may rely on: it never sees its own world go back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.checkers.anomalies import Anomaly, Coverage, concluded, named, oks, refused
from chaos.history import History, Operation
from chaos.results.model import Finding

Seen = dict[tuple[int, str | None], Operation]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sessions:
    """Each process sees the versions of each key in order (Terry et al., PDIS 1994), in one pass.

    Monotonic reads, read your writes, monotonic writes and writes follow reads, judged by the
    versions that the answers name. An operation that is not ok says nothing.

    Attributes:
        reads, writes: the operations whose ok answer names the version read or made.
    """

    reads: tuple[str, ...] = ("read",)
    writes: tuple[str, ...] = ("write",)

    def __call__(self, history: History) -> Finding:
        """Judge *history*.

        Raises:
            HistoryError: an ok operation names no version, or a process has two under way at once.
        """
        operations = oks(history.of(*self.reads, *self.writes))
        going = _Pass(reads=self.reads)
        anomalies = [a for o in sorted(operations, key=lambda o: (o.start_ns, o.index)) for a in going.take(o)]
        coverage = Coverage.of(history, operations, going.followed, "followed one of the same process and key")
        return concluded("every process sees its keys go forward", history, coverage, anomalies)


@dataclass(kw_only=True)
class _Pass:
    """What each process has read and written of each key so far, at its highest version."""

    reads: tuple[str, ...]
    followed: int = 0
    read: Seen = field(default_factory=dict)
    written: Seen = field(default_factory=dict)
    latest: dict[int, Operation] = field(default_factory=dict)

    def take(self, operation: Operation) -> Iterator[Anomaly]:
        self._checked(operation)
        session = operation.process, operation.key
        self.followed += session in self.read or session in self.written
        if operation.operation in self.reads:
            yield from _back(operation, "monotonic reads", self.read.get(session), may_equal=True)
            yield from _back(operation, "read your writes", self.written.get(session), may_equal=True)
            _raise(self.read, session, operation)
        else:
            yield from _back(operation, "monotonic writes", self.written.get(session), may_equal=False)
            yield from _back(operation, "writes follow reads", self.read.get(session), may_equal=False)
            _raise(self.written, session, operation)

    def _checked(self, operation: Operation) -> None:
        if operation.version is None:
            raise refused(operation, "is ok and names no version; session guarantees are judged by versions")
        before = self.latest.get(operation.process)
        if before is not None and before.end_ns > operation.start_ns:
            raise refused(operation, f"begins before #{before.index} of the same process has ended")
        self.latest[operation.process] = operation


def _back(operation: Operation, guarantee: str, before: Operation | None, *, may_equal: bool) -> Iterator[Anomaly]:
    """*operation* must name a later version than *before*, or the same where that *may_equal*."""
    if before is None or before.version is None or operation.version is None:
        return
    if operation.version < before.version or (operation.version == before.version and not may_equal):
        says = (
            f"process {operation.process} met version {operation.version} of {operation.key!r} in {named(operation)} "
            f"after version {before.version} in {named(before)}"
        )
        yield Anomaly(f"{guarantee} violated", says, (before, operation))


def _raise(seen: Seen, session: tuple[int, str | None], operation: Operation) -> None:
    before = seen.get(session)
    if before is None or (before.version or 0) < (operation.version or 0):
        seen[session] = operation
