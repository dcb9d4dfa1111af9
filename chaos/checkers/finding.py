"""What a checker is, and what its findings are made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Final, Protocol, runtime_checkable

from chaos.history import History, Operation
from chaos.history.columns import Columns
from chaos.results.model import Finding, Subject, Verdict

WITNESSES_MAX: Final = 4
PERCENTILE_MIN: Final = 100
"""Below so many samples a percentile says nothing; the slowest is shown instead."""


class Checker(Protocol):
    """A pure function from a history to a finding."""

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""


@runtime_checkable
class Columnar(Protocol):
    """A checker that can do without an object for each operation, which long histories are judged faster by."""

    def of_columns(self, columns: Columns, history: History) -> Finding:
        """Judge *columns*; *history* has everything else, such as faults and samples."""


def of_data(finding: Finding) -> Finding:
    """*finding*, which speaks about data: it stands even where the lab was too busy to judge the service."""
    return replace(finding, about=Subject.DATA)


def judged(
    check: str,
    *,
    holds: bool,
    says: str,
    checked: int,
    measured: Mapping[str, float] | None = None,
    witness: Sequence[str] = (),
) -> Finding:
    """A finding that is HELD or REFUTED, and INVALID when *checked* is 0."""
    if not checked:
        return Finding(check=check, verdict=Verdict.INVALID, says="nothing was exercised", checked=0)
    verdict = Verdict.HELD if holds else Verdict.REFUTED
    return Finding(
        check=check,
        verdict=verdict,
        says=says,
        checked=checked,
        measured=measured or {},
        witness=tuple(witness[:WITNESSES_MAX]) if verdict is Verdict.REFUTED else (),
    )


def percentile(values: Iterable[float], percent: float) -> tuple[str, float]:
    """The *percent* percentile by nearest rank and its name; the slowest when there are few values.

    Returns:
        ("p99", value), or ("slowest", largest value) below PERCENTILE_MIN values; 0 for none.
    """
    ranked = sorted(values)
    if not ranked:
        return "slowest", 0.0
    if len(ranked) < PERCENTILE_MIN:
        return "slowest", ranked[-1]
    return f"p{percent:g}", ranked[ceil(len(ranked) * percent / 100) - 1]


def told(operation: Operation, history: History) -> str:
    """*operation* in words, for a witness."""
    silence = f"no answer ({operation.error})" if operation.error else str(operation.outcome)
    answer = str(operation.status) if operation.status else silence
    source = f" from {operation.source}" if operation.source else ""
    at = (operation.start_ns - history.start_ns) / 1e9
    took = operation.latency_ns / 1e6
    return f"{operation.operation} #{operation.index} sent at {at:.2f} s: {answer}{source} after {took:.0f} ms"
