"""Histories written by hand, in seconds since their start."""

from collections.abc import Iterable, Mapping

from chaos.history import NEVER, FaultWindow, History, Operation, Outcome, Sample

START_NS = 1_000_000_000_000


def ns(at_s: float) -> int:
    """Nanoseconds of the moment *at_s* seconds after the start."""
    return START_NS + round(at_s * 1e9)


def op(  # noqa: PLR0913  (what an operation is made of)
    at_s: float,
    *,
    operation: str = "read",
    took_ms: float = 5,
    status: int | None = 200,
    outcome: Outcome | None = None,
    source: str | None = None,
    age_s: float | None = None,
    retry_after: bool = False,
    value: object = None,
) -> Operation:
    """One operation sent at *at_s*; the outcome follows from *status* unless it is given."""
    if outcome is None:
        outcome = Outcome.OK if status == 200 else Outcome.INFO
    end_ns = ns(at_s + took_ms / 1000)
    return Operation(
        index=round(at_s * 1000),
        process=1,
        operation=operation,
        key=None,
        value=value,
        intended_ns=ns(at_s),
        start_ns=ns(at_s),
        end_ns=NEVER if outcome is Outcome.INFO else end_ns,
        answered_ns=end_ns,
        outcome=outcome,
        status=status,
        source=source,
        age_s=age_s,
        retry_after=retry_after,
        error=None if status else "TimeoutError",
    )


def fault(start_s: float, end_s: float) -> FaultWindow:
    """A fault in effect from *start_s*, healed at *end_s*."""
    return FaultWindow(
        fault="Down()",
        on="a.b",
        sent_ns=ns(start_s),
        injected_ns=ns(start_s),
        heal_sent_ns=ns(end_s),
        healed_ns=ns(end_s),
    )


def samples(metric: str, values: Mapping[float, float], **labels: str) -> list[Sample]:
    """Samples of *metric* by seconds, on edge a.b unless *labels* name a service."""
    named = labels if "service" in labels else {"edge": "a.b", **labels}
    inner = ",".join(f'{k}="{v}"' for k, v in named.items())
    return [Sample(time_ns=ns(t), service="a", values={f"{metric}{{{inner}}}": v}) for t, v in values.items()]


def history(
    operations: Iterable[Operation] = (),
    *,
    faults: Iterable[FaultWindow] = (),
    sampled: Iterable[Sample] = (),
    end_s: float = 10,
    final: Mapping[str, int] | None = None,
) -> History:
    """A history of ten seconds."""
    return History(
        operations=tuple(operations),
        faults=tuple(faults),
        samples=tuple(sorted(sampled, key=lambda s: s.time_ns)),
        final=final,
        start_ns=START_NS,
        end_ns=ns(end_s),
    )
