"""How many random small histories every consistency checker judges as brute force does.

Twenty thousand for each, valid and invalid, with unknown outcomes; ``differ`` must be 0. The
register checker and Porcupine are compared on the same histories where Go is there.
"""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from bench import _porcupine
from bench._targets import EACH, one_of
from chaos.checkers.register import Register
from chaos.history import History
from chaos.history.columns import Columns
from tests.support import chance
from tests.support.agreement import AGREEMENTS, refuted

COUNT, SEED = 20_000, 20_000
WITH_PORCUPINE = 5_000
TARGETS = (one_of([0], EACH, "differ"),)


def measure() -> dict[str, Any]:
    """Counts by checker."""
    figures = {}
    for name, agreement in AGREEMENTS.items():
        valid, invalid, differ = agreement.compare(COUNT, SEED)
        figures[name] = {"valid": valid, "invalid": invalid, "differ": len(differ)}
    with tempfile.TemporaryDirectory(prefix="chaos-lab-bench-") as scratch:
        figures["register, Porcupine"] = _porcupine_too(Path(scratch))
    return figures


def _porcupine_too(scratch: Path) -> dict[str, Any]:
    """The register checker and Porcupine on the same histories, some of them of a hundred operations."""
    program = _porcupine.build(scratch)
    if program is None:
        return {"valid": 0, "invalid": 0, "differ": None, "why": "no Go on this machine"}
    histories = [*islice(chance.registers(SEED), WITH_PORCUPINE), *islice(chance.long_registers(SEED), WITH_PORCUPINE)]
    text = scratch / "histories.txt"
    with text.open("w", encoding="ascii") as file:
        for number, operations in enumerate(histories):
            file.writelines(_lines(Columns.of(operations), number))
    theirs = [verdict for verdict, _ in _porcupine.judge(program, text, limit_s=5)]
    ours = ["Illegal" if refuted(Register()(History(operations=tuple(o)))) else "Ok" for o in histories]
    return {
        "valid": ours.count("Ok"),
        "invalid": ours.count("Illegal"),
        "differ": sum(a != b for a, b in zip(ours, theirs, strict=True) if b != "Unknown"),
        "undecided_by_porcupine": theirs.count("Unknown"),
    }


def _lines(columns: Columns, number: int) -> list[str]:
    """Of a history of which nothing is left, one write, so that it is answered too."""
    return list(_porcupine.lines(columns, number)) or [f"{number} 0 w 0 1 0 1\n"]
