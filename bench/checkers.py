"""The register and staleness checkers on long histories, side by side with Porcupine.

``file_to_verdict_s`` counts from the file that the recorder wrote, ``check_s`` from the operations
in memory, as ``porcupine_s`` does; both are of the process in the middle of RUNS. Porcupine gets 20 s
and 4 GiB for each row; "undecided" says that it had no answer within them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

from bench import _porcupine
from bench._registers import Shape, write
from bench._targets import EACH, at_most, one_of
from chaos.history.fast import read_columns

WITHIN_S = 120
RUNS = 5
LONGEST = "1 key, 50 clients, 1 M, 1 % unknown"
ROWS = {
    "1 key, 10 saturated clients, 1 k": Shape(operations=1_000, clients=10),
    "1 key, 10 saturated clients, 10 k": Shape(operations=10_000, clients=10),
    "1 key, 10 saturated clients, 100 k": Shape(operations=100_000, clients=10),
    "1 key, 20 saturated clients, 1 k": Shape(operations=1_000, clients=20),
    "one burst of 50 clients, then quiet, 1 k": Shape(operations=1_000, clients=50, burst=50),
    "10 clients, 10 k, 1 % unknown, one stale read": Shape(operations=10_000, clients=10, unknown=0.01, stale=1),
    "100 keys, 50 clients, 100 k, 1 % unknown": Shape(operations=100_000, clients=50, keys=100, unknown=0.01),
    LONGEST: Shape(operations=1_000_000, clients=50, unknown=0.01),
}
STALE = Shape(operations=20_000, clients=10, stale=200)
TARGETS = (
    at_most(2, "rows", LONGEST, "file_to_verdict_s"),
    at_most(1000, "rows", LONGEST, "rss_mb"),
    one_of(["HELD", "REFUTED"], "rows", EACH, "verdict"),
    one_of([[]], "slower_than_porcupine"),
)


def measure() -> dict[str, Any]:
    """Seconds, megabytes and verdicts by row."""
    with tempfile.TemporaryDirectory(prefix="chaos-lab-bench-") as scratch:
        program = _porcupine.build(Path(scratch))
        rows = {name: _row(Path(scratch) / "history", shape, program) for name, shape in ROWS.items()}
        write(Path(scratch) / "stale", STALE)
        rows["least staleness bound, 20 k"] = _ours(Path(scratch) / "stale", "staleness")
    slower = [n for n, r in rows.items() if r.get("porcupine_s") is not None and r["check_s"] > r["porcupine_s"]]
    return {"rows": rows, "slower_than_porcupine": slower}


def _row(folder: Path, shape: Shape, program: Path | None) -> dict[str, Any]:
    write(folder, shape)
    figures = _ours(folder, "register")
    if program is None:
        return figures | {"porcupine": "no Go on this machine"}
    text = folder / "porcupine.txt"
    with text.open("w", encoding="ascii") as file:
        file.writelines(_porcupine.lines(read_columns(folder)[0], 0))
    answers = _porcupine.judge(program, text)
    decided = answers and answers[0][0] != "Unknown"
    return figures | {
        "porcupine": answers[0][0] if decided else "undecided",
        "porcupine_s": round(answers[0][1], 4) if decided else None,
    }


def _ours(folder: Path, checker: str) -> dict[str, Any]:
    """The figures of the process in the middle, and the times of all."""
    runs = sorted((_run(folder, checker) for _ in range(RUNS)), key=itemgetter("file_to_verdict_s"))
    return runs[RUNS // 2] | {"file_to_verdict_all_s": [run["file_to_verdict_s"] for run in runs]}


def _run(folder: Path, checker: str) -> dict[str, Any]:
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603  (this interpreter)
        [sys.executable, "-m", "bench._judge", str(folder), checker],
        capture_output=True,
        text=True,
        check=True,
        timeout=WITHIN_S,
        cwd=Path(__file__).parent.parent,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures | {"whole_process_s": round(time.perf_counter() - began, 3)}
