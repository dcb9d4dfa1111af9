"""One history from file to verdict, in a process of its own; prints the figures as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from chaos.checkers.register import Register
from chaos.checkers.staleness import Staleness
from chaos.history.fast import read_columns


def main(folder: Path, checker: Register | Staleness) -> None:
    """Judge the history of *folder*."""
    began = time.perf_counter()
    columns, rest = read_columns(folder)
    read = time.perf_counter()
    finding = checker.of_columns(columns, rest)
    done = time.perf_counter()
    figures = {
        "verdict": finding.verdict,
        "read_s": round(read - began, 4),
        "check_s": round(done - read, 4),
        "file_to_verdict_s": round(done - began, 4),
        "cpu_s": round(time.process_time(), 3),
        "rss_mb": _peak_mb(),
        "measured": dict(finding.measured),
    }
    print(json.dumps(figures))  # noqa: T201  (read by the benchmark)


def _peak_mb() -> int:
    """The most memory this process had; getrusage would count its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) // 1000


if __name__ == "__main__":
    main(Path(sys.argv[1]), Register() if sys.argv[2] == "register" else Staleness(within_ms=1e9))
