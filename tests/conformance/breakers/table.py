"""The table of `docs/breakers.md`: `python -m tests.conformance.breakers.table` writes it."""

import asyncio
import importlib.metadata
from pathlib import Path

from tests.conformance.breakers.adapters import ADAPTERS
from tests.conformance.breakers.checks import CHECKS, Answer

ROOT = Path(__file__).resolve().parents[3]
DOC = ROOT / "docs" / "breakers.md"
INTRODUCTION = """# Circuit breakers, held to the same checks

Every breaker below opens after three failures in a row, and was asked the same questions by
`tests/conformance/breakers`. The table is written by `python -m tests.conformance.breakers.table`,
and a test fails when a new version of a library answers otherwise.

"""
QUESTIONS = """
- **half-open permits**: the pause is over, the dependency is still down, twenty callers come at once. One may try.
- **late success**: a call that began before the breaker opened succeeds afterwards. It says nothing about now.
- **cancelled probe**: the one who may try gives up. His permit goes to the next, and the breaker learns nothing.
- **calls at the same time**: twenty calls through a closed breaker do not wait for each other.
"""
MARKS = {True: "🟩", False: "🟥", None: "⬜"}


def measure() -> dict[str, dict[str, Answer]]:
    """Ask every breaker every question."""
    return {
        adapter.name: {name: asyncio.run(check(adapter())) for name, check in CHECKS.items()} for adapter in ADAPTERS
    }


def render(answers: dict[str, dict[str, Answer]]) -> str:
    """Return the document."""
    head = ["breaker", *CHECKS]
    lines = [head, ["---"] * len(head)]
    for name, found in answers.items():
        cells = [f"{MARKS[answer.held]} {answer.seen}" for answer in found.values()]
        lines.append([_title(name), *cells])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{INTRODUCTION}{table}\n{QUESTIONS}"


def _title(name: str) -> str:
    if name.startswith("services"):
        return f"**`{name}`** (ours)"
    return f"{name} {importlib.metadata.version(name)}"


if __name__ == "__main__":
    DOC.write_text(render(measure()), encoding="utf-8")
