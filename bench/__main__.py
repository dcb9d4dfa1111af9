"""Runs benchmarks: ``python -m bench`` for all, ``python -m bench lab`` for one.

Each is a module of this folder with ``measure() -> dict`` and ``TARGETS``; its figures go to
``results/bench/<name>.json`` and to the terminal, where it says beside each target whether it was met.
Exit code 1 and a list at the end when one was missed.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from bench._targets import judged

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "bench"


def main(names: list[str]) -> None:
    """Measure what is named, or everything."""
    known = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    if unknown := sorted(set(names) - set(known)):
        sys.exit(f"bench: no benchmark is called {', '.join(unknown)}; there are: {', '.join(known)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    missed = []
    for name in names or known:
        module = importlib.import_module(f"bench.{name}")
        figures = module.measure()
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        print(f"{path.relative_to(HERE.parent)}: {json.dumps(figures)}")  # noqa: T201  (a command line)
        for outcome in judged(figures, module.TARGETS):
            print(f"  {outcome}")  # noqa: T201
            if not outcome.met:
                missed.append(f"{name}: {outcome}")
    if missed:
        sys.exit("\n".join([f"bench: {len(missed)} targets were missed:", *missed]))


if __name__ == "__main__":
    main(sys.argv[1:])
