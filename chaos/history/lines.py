"""The files of a history as lines of JSON, and the lines that are samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from chaos.errors import HistoryError
from chaos.history.entries import NEVER, Sample


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line of *path*; a last line cut short by a kill is left out.

    Raises:
        HistoryError: the file is missing, or a line is no JSON object.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if line.endswith("\n"):
                    yield number, decoded(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise HistoryError(msg) from error


def is_cut_short(path: Path) -> bool:
    """Whether the last line of *path* has no end, because its writer was killed."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"\n", b"")


def read_samples(folder: Path) -> tuple[Sample, ...]:
    """The samples of ``series.jsonl`` by their time: a slow look is written after a quick one that began later.

    Raises:
        HistoryError: a line is no sample; names it.
    """
    found = [_sample(number, entry) for number, entry in read_lines(folder / "series.jsonl")]
    return tuple(sorted(found, key=lambda sample: sample.time_ns))


def _sample(number: int, entry: dict[str, Any]) -> Sample:
    try:
        sample = Sample(**entry)
        fine = type(sample.time_ns) is int and 0 <= sample.time_ns < NEVER and type(sample.service) is str
        if not fine or not isinstance(sample.values, dict):
            msg = "expected time_ns (a moment), service (text) and values (object)"
            raise TypeError(msg)  # noqa: TRY301  (one way to say it)
        for name, value in sample.values.items():
            if type(value) not in (int, float) or not isfinite(value):
                msg = f"{name} is {value!r}, expected a finite number"
                raise TypeError(msg)  # noqa: TRY301  (one way to say it)
    except (TypeError, OverflowError) as error:
        msg = f"series.jsonl line {number}: is no sample: {error}"
        raise HistoryError(msg) from error
    return sample


def decoded(path: Path, number: int, line: str | bytes) -> dict[str, Any]:
    """The object of one line.

    Raises:
        HistoryError: it is none.
    """
    try:
        entry = json.loads(line, object_pairs_hook=_without_duplicates, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        msg = f"{path} line {number}: is not JSON: {error}"
        raise HistoryError(msg) from error
    if not isinstance(entry, dict):
        msg = f"{path} line {number}: is a {type(entry).__name__}, expected an object"
        raise HistoryError(msg)
    return entry


def _no_json(constant: str) -> Any:  # noqa: ANN401  (as json wants it)
    raise ValueError(constant)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) != len(pairs):
        msg = f"a name stands there twice, among {sorted(name for name, _ in pairs)}"
        raise ValueError(msg)
    return entry
