"""A run as Markdown, for the summary page of a CI job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chaos.results.model import Result, Verdict, details

ICONS: Final[Mapping[Verdict, str]] = {
    Verdict.HELD: "✓",
    Verdict.REFUTED: "✗",
    Verdict.INVALID: "∅",
    Verdict.INCONCLUSIVE: "?",
}


def markdown(results: Sequence[Result], summary: Mapping[str, Any]) -> str:
    """A heading with the counts, a table of the scenarios, and the evidence for those that did not hold."""
    counts = ", ".join(f"{summary[v.lower()]} {v.lower()}" for v in Verdict if summary[v.lower()])
    lines = [f"## Resilience: {counts or 'nothing ran'}", ""]
    lines += ["| | Scenario | What was broken | What was seen | Took |", "|---|---|---|---|---:|"]
    lines += [_row(result) for result in results]
    for result in results:
        if result.verdict is not Verdict.HELD:
            lines += ["", *_evidence(result)]
    commit = summary.get("provenance", {}).get("commit", "unknown")
    lines += ["", f"{summary['wall_s']} s on {summary['workers']} workers, commit {commit}", ""]
    return "\n".join(lines)


def _row(result: Result) -> str:
    broken = "; ".join(f"{fault} on {on}" for on, fault in dict.fromkeys(result.targets))
    verdict = f"{ICONS[result.verdict]} {result.verdict.lower()}"
    without = f" (without {result.disabled})" if result.disabled else ""
    cells = (verdict, f"{result.id} {result.title}{without}", broken, result.says, f"{result.wall_s:.1f} s")
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """*text* as it is, whatever it holds: no markup, no second column, no second line."""
    for sign in "\\`*_[]<>|#~":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _evidence(result: Result) -> list[str]:
    """Everything that speaks about *result*, folded away; indented, so that nothing in it is markup."""
    lines = [f"<details><summary>{ICONS[result.verdict]} {result.id}: the evidence</summary>", ""]
    return [*lines, *(f"    {line}" for line in details(result).splitlines()), "", "</details>"]
