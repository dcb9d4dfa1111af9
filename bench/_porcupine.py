"""Porcupine as the other judge: built from its pinned Go module, with a limit of time and memory."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from chaos.history.columns import OUTCOMES, Columns
from chaos.history.entries import Outcome

MODULE = Path(__file__).parent / "porcupine"
LIMIT_S, MEMORY_BYTES, BUILD_S = 20, 4 << 30, 200
_OK, _INFO = OUTCOMES.index(Outcome.OK), OUTCOMES.index(Outcome.INFO)


def build(folder: Path) -> Path | None:
    """The program, built into *folder*; None where there is no Go."""
    go = shutil.which("go")
    if go is None:
        return None
    command = [go, "build", "-mod=readonly", "-trimpath", "-o", str(folder / "judge"), "."]
    subprocess.run(command, cwd=MODULE, check=True, timeout=BUILD_S)  # noqa: S603  (a fixed command)
    return folder / "judge"


def lines(columns: Columns, number: int) -> Iterator[str]:
    """What Porcupine needs of *columns*: no refusals, no reads of unknown outcome; 0 is the initial value."""
    rows = zip(
        columns.process.tolist(),
        columns.kind.tolist(),
        columns.key.tolist(),
        columns.wrote.tolist(),
        columns.value.tolist(),
        columns.start.tolist(),
        columns.end.tolist(),
        columns.outcome.tolist(),
        strict=True,
    )
    for process, kind, key, wrote, value, start, end, outcome in rows:
        write = columns.kinds[kind] == "write"
        if outcome == _OK or (write and outcome == _INFO):
            yield f"{number} {process} {'w' if write else 'r'} {key} {wrote if write else value} {start} {end}\n"


def judge(program: Path, text: Path, limit_s: float = LIMIT_S, patience_s: float = 60) -> Sequence[tuple[str, float]]:
    """Verdict and seconds of each history in *text*; fewer when memory or patience ran out."""
    with text.open("rb") as file:
        try:
            done = subprocess.run(  # noqa: S603  (a fixed command)
                [str(program), "-limit", f"{limit_s}s"],
                stdin=file,
                capture_output=True,
                text=True,
                timeout=patience_s + limit_s,
                env=os.environ | {"GOMEMLIMIT": str(MEMORY_BYTES * 3 // 4)},
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
                check=False,
            ).stdout
        except subprocess.TimeoutExpired as error:
            done = (error.stdout or b"").decode()
    answers = (line.split() for line in done.splitlines())
    return [(verdict, float(seconds)) for verdict, seconds in answers]
