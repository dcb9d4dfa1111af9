"""What a run came to, as values: verdicts, findings, bites, results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """What a run, or one check of it, came to."""

    HELD = "HELD"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    REFUTED = "REFUTED"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of *verdicts*; INVALID when there are none, because nothing was checked."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.INVALID)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The answer of one checker.

    Attributes:
        check: what was checked, in words.
        verdict: INVALID when nothing was there to be checked.
        says: what was seen, with figures.
        checked: how many operations or samples it looked at.
        measured: the figures by name, with units in the names.
        witness: at most four operations or moments that prove it, in words.
    """

    check: str
    verdict: Verdict
    says: str
    checked: int
    measured: Mapping[str, float] = field(default_factory=dict)
    witness: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Bite:
    """Evidence, measured on the wire, that a fault took hold.

    Attributes:
        on: the edge.
        expected: what a fault that took hold looks like, in words.
        measured: what was seen, in words.
        held: whether they agree.
    """

    on: str
    expected: str
    measured: str
    held: bool

    def __str__(self) -> str:
        return f"{self.on}: expected {self.expected}; measured {self.measured}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One experiment's outcome.

    Attributes:
        id, title, hypothesis: of the experiment.
        verdict: the worst of everything below.
        says: the verdict in one sentence.
        bites: the evidence that each fault took hold.
        findings: what the checkers said.
        targets: the globs that faults were injected on, and how.
        disabled: the safeguards that were switched off for this run.
        wall_s: how long it took.
        folder: where its history lies.
    """

    id: str
    title: str
    hypothesis: str
    verdict: Verdict
    says: str
    bites: tuple[Bite, ...] = ()
    findings: tuple[Finding, ...] = ()
    targets: tuple[tuple[str, str], ...] = ()
    disabled: str = ""
    wall_s: float = 0.0
    folder: Path = field(default=Path())


def details(result: Result) -> str:
    """Everything that speaks about *result*, one line each: bites, findings, witnesses."""
    lines = [f"{'bit' if bite.held else 'DID NOT BITE'}: {bite}" for bite in result.bites]
    for finding in result.findings:
        lines.append(f"{finding.verdict}: {finding.check}: {finding.says}")
        lines.extend(f"    {witness}" for witness in finding.witness)
    return "\n".join(lines)
