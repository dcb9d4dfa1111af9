"""A fast way from a long file to columns: two million lines in about a second.

Arrow parses the lines on all cores, strictly typed, and array operations look for what the
line-by-line reader would refuse. Whatever is not plainly in order goes to that reader instead,
which judges it and names the line; so there is one meaning of a damaged history, not two. Fields
that no column needs are not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.json as arrow_json

from chaos.errors import HistoryError
from chaos.history.columns import Columns, Ints
from chaos.history.lines import decoded, is_cut_short, read_samples
from chaos.history.model import History
from chaos.history.pairing import DoubtfulError, Pairing
from chaos.history.reading import Reading, fault_of

WORTH_IT: Final = 1 << 20
"""Bytes below which reading line by line costs nothing."""
_BLOCK: Final = 8 << 20
_TAIL: Final = 8 << 20
_CACHED: Final = 256 << 10
_AT_THE_END: Final = (b'"type":"final"', b'"type":"snapshot"', b'"type":"phase"')
_INTEGERS: Final = ("index", "time", "invoked", "process", "intended")
_TEXTS: Final = ("type", "operation", "key")


def read_columns(folder: Path, worth_it: int = WORTH_IT) -> tuple[Columns, History]:
    """The operations of *folder* as columns, and a history of everything else.

    Args:
        worth_it: bytes from which on the fast way is taken.

    Raises:
        HistoryError: as ``History.load``.
    """
    try:
        if (folder / "history.jsonl").stat().st_size >= worth_it:
            return _fast(folder)
    except (DoubtfulError, HistoryError, pa.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError):
        pass
    history = History.load(folder)
    return Columns.of(history.operations), history


def _fast(folder: Path) -> tuple[Columns, History]:
    path = folder / "history.jsonl"
    reading = Reading()
    with path.open("rb") as file:
        head = file.readline()
        reading.take(1, decoded(path, 1, head))
        values = _value_type(file.read(WORTH_IT))
    end, trailing = _trailing(path)
    pairing = Pairing.of(_parsed(path, len(head), end, values), reading.last_ns)
    _look_at(path, pairing, reading)
    reading.passed_over(pairing.count, int(pairing.time[-1]))
    for number, line in enumerate(trailing, pairing.count + 2):
        reading.take(number, decoded(path, number, line))
    columns = pairing.columns(reading.last_ns)
    rest = History(
        faults=tuple(reading.faults),
        samples=read_samples(folder),
        final=reading.final,
        snapshots=tuple(reading.snapshots),
        start_ns=reading.start_ns,
        end_ns=int(columns.start[-1]),
        notes=("the last line was cut short and is left out",) if is_cut_short(path) else (),
    )
    return columns, rest


def _value_type(head: bytes) -> pa.DataType:
    """The type of the first value that is there, integer or text."""
    for line in head.split(b"\n")[:-1]:
        value = json.loads(line).get("value")
        if type(value) is int:
            return pa.int64()
        if type(value) is str:
            return pa.string()
    raise DoubtfulError


def _trailing(path: Path) -> tuple[int, list[bytes]]:
    """Where the operations end, and the lines of other kinds after them; not a line cut short."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        lines = file.read().split(b"\n")
    end, trailing = size - len(lines.pop()), list[bytes]()
    while lines and any(kind in lines[-1] for kind in _AT_THE_END):
        trailing.insert(0, lines.pop())
        end -= len(trailing[0]) + 1
    return end, trailing


def _parsed(path: Path, start: int, end: int, values: pa.DataType) -> pa.Table:
    schema = [(name, pa.int64()) for name in _INTEGERS] + [(name, pa.string()) for name in _TEXTS]
    with pa.memory_map(str(path)) as file:
        lines = file.read_buffer().slice(start, end - start)
        table = arrow_json.read_json(
            pa.BufferReader(lines),
            memory_pool=pa.system_memory_pool(),  # the others give back and take anew: page faults cost a fifth more
            read_options=arrow_json.ReadOptions(block_size=_BLOCK),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=pa.schema([*schema, ("value", values)]),
                newlines_in_values=False,
                unexpected_field_behavior="ignore",
            ),
        )
        if len(table) != _newlines(lines):
            raise DoubtfulError  # Arrow passes over a line without anything in it
        return table


def _newlines(lines: pa.Buffer) -> int:
    """How many there are; in pieces that a processor's cache holds."""
    found = np.frombuffer(lines, dtype=np.uint8)
    pieces = (found[place : place + _CACHED] for place in range(0, len(found), _CACHED))
    return sum(int(np.count_nonzero(piece == ord("\n"))) for piece in pieces)


def _look_at(path: Path, pairing: Pairing, reading: Reading) -> None:
    """Read the faults, and see whether each null that matters is written and not just missing."""
    for line in _lines(path, pairing.faults):
        reading.faults.append(fault_of(decoded(path, 0, line)))
    for line in _lines(path, pairing.nulls):
        if not decoded(path, 0, line).keys() >= {"key", "value"}:
            raise DoubtfulError


def _lines(path: Path, rows: Ints) -> Iterator[bytes]:
    """The lines of *path* that *rows*, ascending, came from; the first row is the second line."""
    wanted = iter(rows.tolist())
    row = next(wanted, None)
    with path.open("rb") as file:
        for number, line in enumerate(file, -1):
            if row is None:
                return
            if number == row:
                yield line
                row = next(wanted, None)
