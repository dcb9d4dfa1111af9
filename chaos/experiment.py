"""An experiment: a hypothesis, the faults that try it, and the run that judges it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chaos.checkers.finding import Checker
from chaos.checkers.run_itself import KeptSchedule, SteadyAfter, SteadyBefore
from chaos.clock import NS_PER_S, now_ns, seconds, sleep_until
from chaos.errors import HealError, LabError
from chaos.faults.fault import Fault
from chaos.history import History, Recorder
from chaos.lab import Lab
from chaos.results import folder as results
from chaos.results.model import Bite, Finding, Result, Verdict, worst
from chaos.workload.driver import Driver
from chaos.workload.request import OpenLoop

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A fault on some edges for some time.

    Attributes:
        fault: what to inject.
        on: glob over edge names.
        start_s: seconds after the steady phase.
        duration_s: seconds until it is healed.
    """

    fault: Fault
    on: str
    start_s: float = 0.0
    duration_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A hypothesis about the platform, and how to try it.

    Attributes:
        id: such as "PG-01".
        title: what is done to the platform, in a few words.
        hypothesis: what its users should see, with numbers.
        workloads: what is sent all the time.
        faults: what is broken, and when.
        checkers: what judges the hypothesis.
        mutations: safeguards; with any one of them switched off the hypothesis must be refuted.
        steady_s: seconds of load before the first fault.
        recovery_s: seconds of load after the last healing.
        steady_share: share of operations that must succeed before the fault and at the end.
        at_rest: reads the store's elements (value, how often) once the load has ended.
        self_check: tries the lab itself, and therefore runs before the others.
    """

    id: str
    title: str
    hypothesis: str
    workloads: tuple[OpenLoop, ...]
    faults: tuple[Window, ...]
    checkers: tuple[Checker, ...]
    mutations: tuple[str, ...]
    steady_s: float = 2.0
    recovery_s: float = 3.0
    steady_share: float = 0.99
    at_rest: Callable[[Lab], Mapping[str, int]] | None = None
    self_check: bool = False


def run(experiment: Experiment, lab: Lab, folder: Path, say: Say = lambda _: None) -> Result:
    """Run *experiment* on *lab*: steady state, inject, prove the bite, drive, heal, check.

    Args:
        folder: of this scenario; its history and verdict are written there.
        say: told each phase as it begins.

    Raises:
        HealError: a fault could not be taken back.
        LabError: the lab could not do its work.
    """
    began_ns = now_ns()
    with Recorder(folder, experiment.id) as recorder:
        with _healed(lab), _load(experiment, lab, recorder, say):
            _phase("steady state", experiment.steady_s, recorder, say)
            bites = _break_and_heal(experiment.faults, lab, recorder, say)
            _phase("recovery", experiment.recovery_s, recorder, say)
        if experiment.at_rest:
            recorder.write("final", value=dict(experiment.at_rest(lab)))
    say("checking")
    verdict, says, findings = judge(experiment, History.load(folder), bites)
    result = Result(
        id=experiment.id,
        title=experiment.title,
        hypothesis=experiment.hypothesis,
        verdict=verdict,
        says=says,
        bites=bites,
        findings=findings,
        targets=tuple((w.on, repr(w.fault)) for w in experiment.faults),
        disabled=os.environ.get(lab.config.settings.mutation_env, ""),
        wall_s=seconds(now_ns() - began_ns),
        folder=folder,
    )
    results.save(result)
    return result


def judge(experiment: Experiment, history: History, bites: Sequence[Bite]) -> tuple[Verdict, str, tuple[Finding, ...]]:
    """The verdict on *history*, in one word and one sentence, and all findings.

    A fault that did not bite makes everything else INVALID; otherwise the worst finding decides.
    """
    operations = sorted({o.operation for o in history.operations})
    share = experiment.steady_share
    checkers: list[Checker] = [KeptSchedule()]
    checkers += [SteadyBefore(operation=o, share=share) for o in operations]
    checkers += experiment.checkers
    checkers += [SteadyAfter(operation=o, share=share) for o in operations]
    findings = tuple(checker(history) for checker in checkers)
    if toothless := [bite for bite in bites if not bite.held]:
        return Verdict.INVALID, "; ".join(f"the fault did not bite: {bite}" for bite in toothless), findings
    verdict = worst(finding.verdict for finding in findings)
    if verdict is Verdict.HELD:
        return verdict, f"{len(findings)} checks held, {len(bites)} of {len(bites)} faults bit", findings
    return verdict, "; ".join(f"{f.check}: {f.says}" for f in findings if f.verdict is verdict), findings


def _phase(name: str, length_s: float, recorder: Recorder, say: Say) -> None:
    say(name)
    recorder.write("phase", name=name)
    sleep_until(now_ns() + int(length_s * NS_PER_S))


def _break_and_heal(windows: Sequence[Window], lab: Lab, recorder: Recorder, say: Say) -> tuple[Bite, ...]:
    """Inject and heal every window at its time; returns the evidence that each took hold."""
    start_ns = now_ns()
    bites: list[Bite] = []
    injected: dict[int, tuple[int, int]] = {}
    for at_s, action, number in _timetable(windows):
        window = windows[number]
        sleep_until(start_ns + int(at_s * NS_PER_S))
        if action == "inject":
            say(f"{window.fault} on {window.on}")
            injected[number] = _inject(window, lab, recorder)
            bites += window.fault.bite(lab, window.on)
        else:
            _heal(window, lab, recorder, injected[number])
    return tuple(bites)


def _timetable(windows: Sequence[Window]) -> list[tuple[float, Literal["heal", "inject"], int]]:
    """When to do what with which window; at the same moment healing comes first."""
    timetable: list[tuple[float, Literal["heal", "inject"], int]] = []
    for number, window in enumerate(windows):
        timetable.append((window.start_s, "inject", number))
        timetable.append((window.start_s + window.duration_s, "heal", number))
    return sorted(timetable)


def _inject(window: Window, lab: Lab, recorder: Recorder) -> tuple[int, int]:
    """Inject and return when it was sent and when it was in effect."""
    sent_ns = now_ns()
    recorder.write("inject", fault=repr(window.fault), on=window.on)
    window.fault.inject(lab, window.on)
    return sent_ns, now_ns()


def _heal(window: Window, lab: Lab, recorder: Recorder, injected: tuple[int, int]) -> None:
    """Heal, prove it on the wire, and write the whole window down."""
    heal_sent_ns = now_ns()
    recorder.write("heal", fault=repr(window.fault), on=window.on)
    window.fault.heal(lab, window.on)
    for edge in lab.edges(window.on):
        lab.prove_healed(edge)
    recorder.write(
        "fault",
        fault=repr(window.fault),
        on=window.on,
        sent_ns=injected[0],
        injected_ns=injected[1],
        heal_sent_ns=heal_sent_ns,
        healed_ns=now_ns(),
    )


@contextmanager
def _healed(lab: Lab) -> Iterator[None]:
    """Nothing is broken before the block, and nothing after it, however it ends."""
    lab.restore()
    try:
        yield
    finally:
        try:
            lab.restore()
        except LabError as error:
            msg = f"a fault could not be taken back: {error}"
            raise HealError(msg) from error


@contextmanager
def _load(experiment: Experiment, lab: Lab, recorder: Recorder, say: Say) -> Iterator[None]:
    """The experiment's workloads run inside the block."""
    say("preparing")
    driver = Driver(lab, experiment.workloads, recorder)
    driver.start()
    try:
        yield
    finally:
        driver.stop()
