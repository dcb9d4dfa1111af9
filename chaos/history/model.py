"""A whole history, ready for checkers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaos.history.entries import FaultWindow, Operation, Sample, Snapshot
from chaos.history.lines import is_cut_short, read_lines, read_samples
from chaos.history.reading import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """Everything that a run recorded, ready for checkers.

    Attributes:
        operations: by the time they were sent.
        faults: in the order in which they were sent, which is not that of their lines: a fault's
            line is written when it is healed.
        samples: the services' metrics over time.
        final: the store's elements after healing and how often each is there; None if not read.
        snapshots: what the stores held, by time; the last is the one at rest.
        start_ns, end_ns: the first line and the last sending.
        notes: what a reader should know, such as a last line that was cut short.
    """

    operations: tuple[Operation, ...] = ()
    faults: tuple[FaultWindow, ...] = ()
    samples: tuple[Sample, ...] = ()
    final: Mapping[str, int] | None = None
    snapshots: tuple[Snapshot, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # The only moment at which a frozen value may be put in order.
        object.__setattr__(self, "faults", tuple(sorted(self.faults, key=lambda fault: fault.sent_ns)))

    def of(self, *operations: str) -> tuple[Operation, ...]:
        """The operations of those kinds."""
        return tuple(o for o in self.operations if o.operation in operations)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``history.jsonl`` and ``series.jsonl`` of *folder*.

        A last line that a kill cut short is left out, and ``notes`` says so.

        Raises:
            HistoryError: a line is missing, damaged, foreign or out of order; names it.
        """
        path = folder / "history.jsonl"
        reading = Reading()
        for number, entry in read_lines(path):
            reading.take(number, entry)
        reading.ended()
        operations = tuple(sorted(reading.operations, key=lambda o: o.start_ns))
        return cls(
            operations=operations,
            faults=tuple(reading.faults),
            samples=read_samples(folder),
            final=reading.final,
            snapshots=tuple(reading.snapshots),
            start_ns=reading.start_ns,
            end_ns=operations[-1].start_ns if operations else reading.last_ns,
            notes=("the last line was cut short and is left out",) if is_cut_short(path) else (),
        )
