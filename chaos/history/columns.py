"""Operations as arrays, for checkers of long histories, and a fast way to them from a file.

Two million lines are read in about a second: Arrow parses the lines on all cores, and what the
line-by-line reader would have refused is looked for with array operations. Whatever is not plainly
in order goes to that reader instead, which then names the line and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from chaos.history.entries import Operation, Outcome

Ints = npt.NDArray[np.int64]
NONE: Final = 0
"""The code of null, in every column of codes."""

OUTCOMES: Final = (Outcome.OK, Outcome.FAIL, Outcome.INFO)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Columns:
    """One row for each operation, by the time it was sent; texts and values as codes.

    Attributes:
        index, process: as in ``Operation``.
        kind: code of what it did, a place in *kinds*.
        key: code of its key, a place in *keys*; NONE for null.
        wrote: code of the value it was sent with, a place in *values*; NONE for null.
        value: code of the value its answer carried.
        intended, start, end, answered: nanoseconds; *end* is NEVER for an unknown outcome.
        outcome: a place in OUTCOMES.
    """

    index: Ints
    process: Ints
    kind: Ints
    key: Ints
    wrote: Ints
    value: Ints
    intended: Ints
    start: Ints
    end: Ints
    answered: Ints
    outcome: Ints
    kinds: Sequence[str]
    keys: Sequence[str | None]
    values: Sequence[Any]

    @classmethod
    def of(cls, operations: Sequence[Operation]) -> Self:
        """The columns of *operations*."""
        kinds, keys, values = _Codes(), _Codes(), _Codes()
        outcomes = {outcome: number for number, outcome in enumerate(OUTCOMES)}
        rows = [
            (
                o.index,
                o.process,
                kinds[o.operation],
                keys[o.key],
                values[o.written],
                values[o.value],
                o.intended_ns,
                o.start_ns,
                o.end_ns,
                o.answered_ns,
                outcomes[o.outcome],
            )
            for o in operations
        ]
        moments = ("intended", "start", "end", "answered")
        names = ("index", "process", "kind", "key", "wrote", "value", *moments, "outcome")
        table = np.array(rows, dtype=np.int64).reshape(-1, len(names)).T
        arrays = {name: np.ascontiguousarray(column) for name, column in zip(names, table, strict=True)}
        return cls(**arrays, kinds=kinds.texts, keys=keys.texts, values=values.texts)

    def of_kinds(self, kinds: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which rows are operations of *kinds*."""
        return np.isin(self.kind, [code for code, kind in enumerate(self.kinds) if kind in kinds])

    def code(self, value: object) -> int:
        """The code of *value*; -1 when it occurs nowhere."""
        wanted = identity(value)
        return (
            next((code for code, v in enumerate(self.values) if identity(v) == wanted), -1)
            if value is not None
            else NONE
        )

    def operation(self, row: int) -> Operation:
        """The operation of *row*, with what the columns know of it."""
        return Operation(
            index=int(self.index[row]),
            process=int(self.process[row]),
            operation=self.kinds[self.kind[row]],
            key=self.keys[self.key[row]],
            value=self.values[self.value[row]],
            wrote=self.values[self.wrote[row]],
            intended_ns=int(self.intended[row]),
            start_ns=int(self.start[row]),
            end_ns=int(self.end[row]),
            answered_ns=int(self.answered[row]),
            outcome=OUTCOMES[self.outcome[row]],
        )


def identity(value: object) -> Hashable:
    """What is equal exactly for equal JSON values: 1, 1.0, true and "1" are four."""
    if value is None or isinstance(value, str | int | float | bool):
        return type(value), value
    return json.dumps(value, sort_keys=True)


class _Codes:
    """Numbers things in the order of their first appearance; null is always NONE."""

    def __init__(self) -> None:
        self.texts: list[Any] = [None]
        self._known: dict[Hashable, int] = {identity(None): NONE}

    def __getitem__(self, value: object) -> int:
        known = identity(value)
        code = self._known.setdefault(known, len(self.texts))
        if code == len(self.texts):
            self.texts.append(value)
        return code
