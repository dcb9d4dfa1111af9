"""An experiment: a hypothesis, the faults that try it, and the run that judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from chaos.checkers.finding import Checker
from chaos.clock import NS_PER_S, now_ns, seconds
from chaos.errors import HealError, LabError
from chaos.faults.fault import Effect, Fault, heal_all, inject
from chaos.history import Recorder
from chaos.judge import Judge
from chaos.lab import Lab
from chaos.results import folder as results
from chaos.results.model import Bite, Result, Subject, Verdict
from chaos.wall import Wall
from chaos.workload.request import Workload

Say = Callable[[str], None]

OVERDUE_S: Final = 10.0
"""How much longer than planned a fault may stay before the guard takes it back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A fault on some edges or processes for some time.

    Attributes:
        fault: what to inject.
        on: glob over edge names, or over process names for a process fault.
        start_s: seconds after the steady phase.
        duration_s: seconds until it is healed.
    """

    fault: Fault
    on: str
    start_s: float = 0.0
    duration_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation:
    """Safeguards of the platform switched off, and the check that must notice.

    Attributes:
        off: as the variable ``mutation-env`` takes it, such as "widget-core.postgres.breaker"; several
            with commas between, where one alone is covered by the other.
        caught_by: the class of the checker that must be REFUTED.
    """

    off: str
    caught_by: type

    def is_killed_by(self, result: Result) -> bool:
        """Whether *result*, of a run with the safeguards off, is REFUTED for the reason named.

        Nothing is killed by a run that cannot be trusted: when the lab did not keep its schedule, or
        the platform was not steady before the fault, the safeguard was not what made the difference.
        """
        refuted = {finding.by for finding in result.findings if finding.verdict is Verdict.REFUTED}
        trusted = all(f.verdict is Verdict.HELD for f in result.findings if f.about is Subject.RUN)
        return trusted and result.verdict is Verdict.REFUTED and self.caught_by.__name__ in refuted


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
        mutations: with any one of them the hypothesis must be refuted.
        steady_s: seconds of load before the first fault.
        recovery_s: seconds of load after the last healing.
        steady_share: share of operations that must succeed before the fault and at the end.
        at_rest: reads the store's elements (value, how often) once the load has ended.
        self_check: tries the lab itself, and therefore runs before the others.
    """

    id: str
    title: str
    hypothesis: str
    workloads: tuple[Workload, ...]
    faults: tuple[Window, ...]
    checkers: tuple[Checker, ...]
    mutations: tuple[Mutation, ...]
    steady_s: float = 1.5
    recovery_s: float = 3.0
    steady_share: float = 0.99
    at_rest: Callable[[Lab], Mapping[str, int]] | None = None
    self_check: bool = False

    @property
    def length_s(self) -> float:
        """How long its load lasts, in seconds."""
        faults_s = max((w.start_s + w.duration_s for w in self.faults), default=0.0)
        return self.steady_s + faults_s + self.recovery_s


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
            _phase("steady state", experiment.steady_s, lab, recorder, say)
            bites = _break_and_heal(experiment.faults, lab, recorder, say)
            _phase("recovery", experiment.recovery_s, lab, recorder, say)
        if experiment.at_rest:
            recorder.write("final", value=dict(experiment.at_rest(lab)))
    say("checking")
    verdict, says, findings = judge(experiment, bites, Wall.of(lab.config.settings)).of_folder(folder)
    result = Result(
        id=experiment.id,
        title=experiment.title,
        hypothesis=experiment.hypothesis,
        verdict=verdict,
        says=says,
        bites=bites,
        findings=findings,
        targets=tuple((w.on, repr(w.fault)) for w in experiment.faults),
        disabled=lab.disabled,
        wall_s=seconds(now_ns() - began_ns),
        folder=folder,
        steady_share=experiment.steady_share,
    )
    results.save(result)
    return result


def judge(experiment: Experiment, bites: Sequence[Bite], wall: Wall) -> Judge:
    """What judges the runs of *experiment*, with the evidence that its faults bit."""
    return Judge(checkers=experiment.checkers, steady_share=experiment.steady_share, bites=bites, wall=wall)


def _phase(name: str, length_s: float, lab: Lab, recorder: Recorder, say: Say) -> None:
    say(name)
    recorder.write("phase", name=name)
    lab.keeper.sleep_until(now_ns() + int(length_s * NS_PER_S))


def _break_and_heal(windows: Sequence[Window], lab: Lab, recorder: Recorder, say: Say) -> tuple[Bite, ...]:
    """Inject and heal every window at its time; returns the evidence that each took hold."""
    start_ns = now_ns()
    bites: list[Bite] = []
    open_: dict[int, _Injected] = {}
    try:
        for at_s, action, number in _timetable(windows):
            window = windows[number]
            lab.keeper.sleep_until(start_ns + int(at_s * NS_PER_S))
            if action == "inject":
                say(f"{window.fault} on {window.on}")
                open_[number] = _inject(window, lab, recorder)
                bites += _evidence(open_[number], open_[number].effect.bite())
            else:
                healed = open_.pop(number)
                bites += _evidence(healed, _heal(window, lab, recorder, healed, open_.values()))
    finally:
        heal_all(injected.effect for injected in open_.values())
    return tuple(bites)


def _timetable(windows: Sequence[Window]) -> list[tuple[float, Literal["heal", "inject"], int]]:
    """When to do what with which window; at the same moment healing comes first."""
    timetable: list[tuple[float, Literal["heal", "inject"], int]] = []
    for number, window in enumerate(windows):
        timetable.append((window.start_s, "inject", number))
        timetable.append((window.start_s + window.duration_s, "heal", number))
    return sorted(timetable)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Injected:
    """A window's fault in effect: when its change was sent, and when it was read back."""

    effect: Effect
    sent_ns: int
    injected_ns: int


def _evidence(injected: _Injected, bites: Iterable[Bite]) -> Iterator[Bite]:
    """*bites* with the window that they are the evidence for."""
    return (replace(bite, sent_ns=injected.sent_ns) for bite in bites)


def _inject(window: Window, lab: Lab, recorder: Recorder) -> _Injected:
    sent_ns = now_ns()
    recorder.write("inject", fault=repr(window.fault), on=window.on)
    effect = inject(window.fault, lab, window.on, at_most_s=window.duration_s + OVERDUE_S)
    return _Injected(effect=effect, sent_ns=sent_ns, injected_ns=now_ns())


def _heal(
    window: Window, lab: Lab, recorder: Recorder, injected: _Injected, others: Iterable[_Injected]
) -> tuple[Bite, ...]:
    """Heal, prove it on the wire, and write the whole window down; returns the evidence that came late.

    What *others* still break is proved when the last of them is healed.
    """
    heal_sent_ns = now_ns()
    recorder.write("heal", fault=repr(window.fault), on=window.on)
    injected.effect.heal()
    broken = {edge for other in others for edge in lab.touched(other.effect.on)}
    for edge in lab.touched(injected.effect.on):
        if edge not in broken:
            lab.prove_healed(edge)
    recorder.write(
        "fault",
        fault=repr(window.fault),
        on=window.on,
        sent_ns=injected.sent_ns,
        injected_ns=injected.injected_ns,
        heal_sent_ns=heal_sent_ns,
        healed_ns=now_ns(),
    )
    return injected.effect.bite_later()


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
    from chaos.workload.driver import Driver  # noqa: PLC0415  (aiohttp and uvloop load only where load is driven)

    say("preparing")
    driver = Driver(lab, experiment.workloads, recorder)
    driver.start()
    try:
        yield
    finally:
        driver.stop()
