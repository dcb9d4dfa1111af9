"""Judges saved runs again, from their histories alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.errors import HistoryError, UnknownNameError, UsageError
from chaos.experiment import Experiment, judge
from chaos.history import read_lines
from chaos.judge import HISTORY_FILE
from chaos.results import folder as results
from chaos.results.model import Bite, Finding, Result
from chaos.wall import Wall


@dataclass(frozen=True, kw_only=True, slots=True)
class Recheck:
    """A result judged again.

    Attributes:
        result: as it is judged now.
        recorded: as it was judged when it ran; None when the run did not get that far.
    """

    result: Result
    recorded: Result | None

    def differences(self) -> Iterator[str]:
        """What is judged otherwise than it was, one sentence each."""
        if self.recorded is None:
            yield "no verdict was recorded: the run did not finish"
            return
        if self.recorded.verdict is not self.result.verdict:
            yield f"was {self.recorded.verdict}, is {self.result.verdict}"
        before, now = _by_check(self.recorded), _by_check(self.result)
        for check in dict.fromkeys([*before, *now]):
            old, new = before.get(check), now.get(check)
            if old is None or new is None:
                yield f"{check}: {'is new' if old is None else 'is gone'}"
            elif (old.verdict, old.says) != (new.verdict, new.says):
                yield f"{check}: was {old.verdict}: {old.says}; is {new.verdict}: {new.says}"


def check(
    folder: Path,
    experiments: Mapping[str, Experiment],
    wall: Wall | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Recheck]:
    """Judge the scenario of *folder* again, or every scenario of a run's folder; writes nothing.

    Args:
        wall: what each checker may use up.
        say: told which one is being judged.

    Raises:
        UsageError: there is no history in it.
        UnknownNameError: a history is of an experiment that there is none of.
        HistoryError: histories or verdicts are damaged, or not of the same experiment; lists every one.
    """
    checked, problems = [], []
    found = scenarios(folder)
    for number, scenario in enumerate(found, 1):
        say(f"judging {scenario.name} ({number} of {len(found)})")
        try:
            checked.append(_check(scenario, experiments, wall or Wall()))
        except HistoryError as error:
            problems.append(str(error))
    if problems:
        raise HistoryError("\n".join(problems))
    return checked


def scenarios(folder: Path) -> list[Path]:
    """The folders with a history: *folder* itself, or those in it; raises UsageError for none."""
    if (folder / HISTORY_FILE).exists():
        return [folder]
    if found := sorted(path.parent for path in folder.glob(f"*/{HISTORY_FILE}")):
        return found
    what = "has no history" if folder.is_dir() else "is not a folder"
    msg = f"{folder} {what}: name the folder of a run, such as results/latest, or of a scenario in it"
    raise UsageError(msg)


def _check(folder: Path, experiments: Mapping[str, Experiment], wall: Wall) -> Recheck:
    name = _scenario(folder)
    if name not in experiments:
        raise UnknownNameError("scenario", name, experiments)
    experiment = experiments[name]
    recorded = results.load(folder) if (folder / results.VERDICT_FILE).exists() else None
    if recorded and recorded.id != name:
        msg = (
            f"{folder}: {HISTORY_FILE} is of {name!r}, but {results.VERDICT_FILE} is of {recorded.id!r}; "
            "put the files of one run together, or take the verdict away"
        )
        raise HistoryError(msg)
    bites = recorded.bites if recorded else _unproved(experiment)
    verdict, says, findings = judge(experiment, bites, wall).of_folder(folder)
    base = recorded or Result(
        id=name, title=experiment.title, hypothesis=experiment.hypothesis, verdict=verdict, says=says, folder=folder
    )
    return Recheck(result=replace(base, verdict=verdict, says=says, bites=bites, findings=findings), recorded=recorded)


def _scenario(folder: Path) -> str:
    """The id of the experiment whose history is in *folder*; raises HistoryError when there is no first line."""
    _, first = next(read_lines(folder / HISTORY_FILE), (0, {}))
    if "scenario" not in first:
        msg = f"{folder / HISTORY_FILE} line 1: names no scenario: it is not the history of a run"
        raise HistoryError(msg)
    return str(first["scenario"])


def _unproved(experiment: Experiment) -> tuple[Bite, ...]:
    """A run that did not finish has no record that its faults took hold."""
    return tuple(
        Bite(on=window.on, expected=f"{window.fault} took hold", measured="nothing: the run did not finish", held=False)
        for window in experiment.faults
    )


def _by_check(result: Result) -> dict[str, Finding]:
    return {finding.check: finding for finding in result.findings}
