"""What a run came to, as values: verdicts, findings, bites, results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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


class Subject(StrEnum):
    """What a finding is about: how the service behaved, its data, or whether the run can be trusted at all."""

    SERVICE = "service"
    DATA = "data"
    RUN = "run"


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
        by: the class of the checker.
        about: what it speaks about, which decides what it is worth in a run that cannot be trusted.
    """

    check: str
    verdict: Verdict
    says: str
    checked: int
    measured: Mapping[str, float] = field(default_factory=dict)
    witness: tuple[str, ...] = ()
    by: str = ""
    about: Subject = Subject.SERVICE


def believed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """*findings*, as far as the run can be trusted.

    When the load did not keep its schedule, or the platform was not steady before the fault, whoever
    was too slow or failed may have been the lab: what is REFUTED about the service is then as
    INCONCLUSIVE or INVALID as the run. What is REFUTED about data stays so: a write that was
    acknowledged and is lost is lost, however late it was sent.
    """
    doubts = [f for f in findings if f.about is Subject.RUN and f.verdict is not Verdict.HELD]
    if not doubts:
        return tuple(findings)
    verdict, why = worst(f.verdict for f in doubts), "; ".join(f"{f.check}: {f.verdict}" for f in doubts)
    return tuple(
        replace(f, verdict=verdict, says=f"{f.says}; not believed, because of {why}")
        if f.about is Subject.SERVICE and f.verdict is Verdict.REFUTED
        else f
        for f in findings
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Bite:
    """Evidence, measured on the wire, that a fault took hold.

    Attributes:
        on: the edge.
        expected: what a fault that took hold looks like, in words.
        measured: what was seen, in words.
        held: whether they agree.
        late_ms: how much later than past the proxy an answer came through it; None where it is not what was timed.
        sent_ns: ``FaultWindow.sent_ns`` of the fault that this is the evidence for.
    """

    on: str
    expected: str
    measured: str
    held: bool
    late_ms: float | None = None
    sent_ns: int | None = None

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
        steady_share: the share of operations that must succeed in steady state; None if not said.
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
    steady_share: float | None = None


def details(result: Result) -> str:
    """Everything that speaks about *result*, one line each: bites, findings, witnesses."""
    lines = [f"{'bit' if bite.held else 'DID NOT BITE'}: {bite}" for bite in result.bites]
    for finding in result.findings:
        lines.append(f"{finding.verdict}: {finding.check}: {finding.says}")
        lines.extend(f"    {witness}" for witness in finding.witness)
    return "\n".join(lines)
