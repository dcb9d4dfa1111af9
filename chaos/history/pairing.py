"""Pairs invocations and completions with array operations; the fast reader's half of ``Reading``."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from chaos.history.columns import OUTCOMES, Columns, Ints
from chaos.history.entries import NEVER, Outcome

_PASSED_OVER: Final = ("phase", "attempt", "inject", "heal")
_COMPLETIONS: Final = tuple(str(outcome) for outcome in OUTCOMES)
_KNOWN: Final = ("invoke", "fault", *_PASSED_OVER, *_COMPLETIONS)
_INFO: Final = OUTCOMES.index(Outcome.INFO)
_SMALL: Final = 1 << 16
_SPARSE: Final = 4


class DoubtfulError(Exception):
    """Something is not plainly in order: the line-by-line reader shall judge it."""


class _Decoded(Sequence[Any]):
    """What codes stand for, made when asked for; the first is null."""

    def __init__(self, dictionary: pa.Array | range) -> None:
        self._dictionary = dictionary

    def __len__(self) -> int:
        return len(self._dictionary) + 1

    @overload
    def __getitem__(self, code: int) -> Any: ...  # noqa: ANN401  (JSON)
    @overload
    def __getitem__(self, code: slice) -> Sequence[Any]: ...
    def __getitem__(self, code: int | slice) -> Any:
        if isinstance(code, slice):
            return [self[place] for place in range(*code.indices(len(self)))]
        if not 0 <= code < len(self):
            raise IndexError(code)
        found = self._dictionary[int(code) - 1] if code else None
        return found.as_py() if isinstance(found, pa.Scalar) else found


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pairing:
    """The lines of a history after its first, as arrays, with what the reader would refuse ruled out.

    Attributes:
        count: lines.
        time, process: of each line.
        intended: of each invocation.
        invokes: rows of the invocations.
        completion: row of each invocation's completion; -1 without one.
        outcome: of each invocation, a place in OUTCOMES.
        faults: rows of fault windows.
        nulls: rows of operations whose null key or value matters.
    """

    count: int
    time: Ints
    process: Ints
    intended: Ints
    invokes: Ints
    completion: Ints
    outcome: Ints
    operation: tuple[Ints, Sequence[str]]
    key: tuple[Ints, Sequence[str | None]]
    value: tuple[Ints, Sequence[Any]]
    faults: Ints
    nulls: Ints

    @classmethod
    def of(cls, table: pa.Table, first_ns: int) -> Pairing:
        """Pair the lines of *table*, of which none may be before *first_ns*.

        Raises:
            DoubtfulError: the line-by-line reader might refuse a line.
        """
        # Arrow leaves the interpreter's lock alone, so the columns are encoded side by side.
        with ThreadPoolExecutor() as pool:
            types, operation, key, value = pool.map(_codes, (table[n] for n in ("type", "operation", "key", "value")))
        time = _in_order(table, first_ns, types)
        kinds = np.array([_KNOWN.index(text) for text in types[1][1:]] or [0])[types[0] - 1]
        process = _integers(table["process"])
        is_invoke, is_done = kinds == 0, kinds > len(_PASSED_OVER) + 1
        rows, invokes, done = (np.flatnonzero(mask) for mask in (is_invoke | is_done, is_invoke, is_done))
        _named(process, operation[0], rows)
        intended = _integers(table["intended"])[invokes]
        if (intended < 0).any():
            raise DoubtfulError
        completion = _completions(_integers(table["invoked"])[done] - 1, done, invokes, len(table))
        _same(process, invokes, completion)
        _same(operation[0], invokes, completion)
        _same(key[0], invokes, completion)
        _one_at_a_time(process, is_invoke, rows)
        outcome = np.where(completion < 0, _INFO, kinds[completion] - len(_PASSED_OVER) - 2)
        read = done[kinds[done] == _KNOWN.index("ok")]
        nulls = np.append(read[value[0][read] == 0], rows[key[0][rows] == 0])
        return cls(
            count=len(table),
            time=time,
            process=process,
            intended=intended,
            invokes=invokes,
            completion=completion,
            outcome=outcome,
            operation=operation,
            key=key,
            value=value,
            faults=np.flatnonzero(kinds == _KNOWN.index("fault")),
            nulls=np.unique(nulls),
        )

    def columns(self, last_ns: int) -> Columns:
        """One row for each invocation; those without an answer waited until *last_ns*."""
        answered = self.completion >= 0
        line = np.where(answered, self.completion, self.invokes)
        value = self.value[0][line]
        wrote = self.value[0][self.invokes]
        ended = np.where(answered, self.time[line], last_ns)
        return Columns(
            index=self.invokes + 1,
            process=self.process[self.invokes],
            kind=self.operation[0][self.invokes],
            key=self.key[0][line],
            wrote=np.where(wrote == 0, value, wrote),
            value=value,
            intended=self.intended,
            start=self.time[self.invokes],
            end=np.where(self.outcome == _INFO, NEVER, ended),
            answered=ended,
            outcome=self.outcome,
            kinds=self.operation[1],
            keys=self.key[1],
            values=self.value[1],
        )


def _codes(column: pa.ChunkedArray) -> tuple[Ints, Sequence[Any]]:
    """Codes of *column* and what they stand for, null being 0."""
    if pa.types.is_integer(column.type) and (span := _span(column)):
        return np.subtract(column.fill_null(span[0] - 1).to_numpy(), span[0] - 1), _Decoded(span)
    encoded = compute.dictionary_encode(column).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    codes = np.add(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), 1, dtype=np.int64)
    return codes, _Decoded(encoded.dictionary)


def _span(column: pa.ChunkedArray) -> range | None:
    """The numbers from the least to the greatest of *column*, if they are close enough to be codes of themselves."""
    low, high = compute.min_max(column).as_py().values()
    dense = low is not None and low >= 0 and high - low <= _SPARSE * len(column)
    return range(low, high + 1) if dense else None


def _integers(column: pa.ChunkedArray) -> Ints:
    """The numbers of *column*, null being -1."""
    numbers: Ints = column.fill_null(-1).to_numpy()
    return numbers


def _in_order(table: pa.Table, first_ns: int, types: tuple[Ints, Sequence[Any]]) -> Ints:
    """Times; lines are numbered without a gap, time does not go back, types are known."""
    index, time = _integers(table["index"]), _integers(table["time"])
    fine = (
        len(index) > 0
        and bool((index == np.arange(1, len(index) + 1)).all())
        and time[0] >= first_ns
        and bool((time[1:] >= time[:-1]).all())
        and bool((types[0] > 0).all())
        and set(types[1][1:]) <= set(_KNOWN)
    )
    if not fine:
        raise DoubtfulError
    return time


def _named(process: Ints, operation: Ints, rows: Ints) -> None:
    if not len(rows) or process[rows].min() < 0 or operation[rows].min() == 0:
        raise DoubtfulError


def _completions(invoked: Ints, done: Ints, invokes: Ints, count: int) -> Ints:
    """Row of the completion of each of *invokes*; every one of *done* completes one of them, once."""
    if ((invoked < 0) | (invoked >= done)).any():
        raise DoubtfulError
    completion = np.full(count, -1, dtype=np.int64)
    completion[invoked] = done
    is_invoke = np.zeros(count, dtype=bool)
    is_invoke[invokes] = True
    if not is_invoke[invoked].all() or (completion[invoked] != done).any():
        raise DoubtfulError
    return completion[invokes]


def _same(of: Ints, invokes: Ints, completion: Ints) -> None:
    done = completion >= 0
    if (of[invokes[done]] != of[completion[done]]).any():
        raise DoubtfulError


def _one_at_a_time(process: Ints, is_invoke: npt.NDArray[np.bool_], rows: Ints) -> None:
    """No process sends while an operation of its own is under way."""
    of = process[rows]
    order = np.argsort(of.astype(np.uint16) if of.max() < _SMALL else of, kind="stable")
    of, sends = of[order], is_invoke[rows[order]]
    if ((of[1:] == of[:-1]) & sends[1:] & sends[:-1]).any():
        raise DoubtfulError
