"""The writing side: one recorder for each history, on disk before a request leaves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Self

import msgspec

from chaos.clock import now_ns
from chaos.errors import disk_errors
from chaos.history.entries import FORMAT, USUAL, Sample


class Recorder:
    """Writes one history; safe to use from several threads. Use as a context manager.

    Args:
        folder: of the scenario; ``history.jsonl`` and ``series.jsonl`` are made in it.
        scenario: written into the first line.
        clock: the time of each line, in nanoseconds.
    """

    def __init__(self, folder: Path, scenario: str, clock: Callable[[], int] = now_ns) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._index = 0
        self._folder = folder
        self._encode = msgspec.json.Encoder().encode
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            self._history = os.open(folder / "history.jsonl", flags, 0o644)
            self._series = os.open(folder / "series.jsonl", flags, 0o644)
        self.write("history", format=FORMAT, scenario=scenario, utc=datetime.now(UTC).isoformat())

    def write(self, kind: str, **fields: Any) -> int:  # noqa: ANN401  (JSON)
        """Append one line, without what is as usual, and return its index.

        One write for each line: once it returns, the line outlives this process, though not the
        machine. It takes about 2 µs, so there is nothing to be won by holding lines back.
        """
        said = {name: value for name, value in fields.items() if name not in USUAL or value != USUAL[name]}
        with self._lock:
            index, self._index = self._index, self._index + 1
            self._append(self._history, {"index": index, "time": self._clock(), "type": kind, **said})
        return index

    def sample(self, sample: Sample) -> None:
        """Append one look at a service's metrics, without what is no number: JSON has no NaN."""
        values = {name: value for name, value in sample.values.items() if isfinite(value)}
        self._append(self._series, {"time_ns": sample.time_ns, "service": sample.service, "values": values})

    def _append(self, file: int, line: dict[str, Any]) -> None:
        rest = self._encode(line) + b"\n"
        try:
            while rest:
                rest = rest[os.write(file, rest) :]  # a disk that is nearly full may take only a part
        except OSError:
            with disk_errors(self._folder):
                raise

    def close(self) -> None:
        """Close the files."""
        os.close(self._history)
        os.close(self._series)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
