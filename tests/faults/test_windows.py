"""An experiment with every sort of fault: injected, seen to bite, healed and proved healed."""

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from signal import SIGKILL

import pytest

from chaos import (
    Down,
    Experiment,
    Freeze,
    Kill,
    Lab,
    Latency,
    OpenLoop,
    Pause,
    Recovers,
    Request,
    Restart,
    Window,
    at,
    flapping,
    ramp,
    together,
)
from chaos.experiment import run
from chaos.results.model import Result, Verdict

pytestmark = pytest.mark.integration


def counting(lab: Lab) -> Iterator[Request]:
    """The same request over and over."""
    del lab
    return repeat(Request(operation="count", path="/x"))


def outcome(lab: Lab, folder: Path, *windows: Window) -> Result:
    """Run an experiment with these faults under a light load."""
    return run(
        Experiment(
            id="F-1",
            title="faults",
            hypothesis="requests work again within a second",
            workloads=(OpenLoop(plan=counting, rate=20),),
            faults=windows,
            checkers=(Recovers(operation="count", within_s=1),),
            mutations=(),
            steady_s=0.5,
            recovery_s=2.2,
        ),
        lab,
        folder,
    )


def recovered(result: Result) -> bool:
    """Whether the platform did its work again; how busy this machine is does not matter."""
    return [f.verdict for f in result.findings if f.by == "Recovers"] == [Verdict.HELD]


def test_processes_are_broken_and_proved_healed(lab: Lab, tmp_path: Path) -> None:
    """Killed, paused and restarted by the name of the process; each window has its evidence."""
    result = outcome(
        lab,
        tmp_path,
        Window(fault=Kill(), on="redis", duration_s=0.3),
        Window(fault=Pause(), on="redis", start_s=0.8, duration_s=0.5),
        Window(fault=Restart(signal=SIGKILL), on="redis", start_s=1.8, duration_s=0.3),
    )
    assert recovered(result), result.says
    assert [(bite.on, bite.held) for bite in result.bites] == [("redis", True)] * 3


def test_windows_may_overlap_on_one_edge(lab: Lab, tmp_path: Path) -> None:
    """The first is healed while the second still breaks the edge: that is proved at the end of the second."""
    result = outcome(
        lab,
        tmp_path,
        Window(fault=Latency(delay_ms=60), on="web.redis", duration_s=0.6),
        Window(fault=Down(), on="web.*", start_s=0.4, duration_s=0.8),
    )
    assert recovered(result), result.says
    assert [bite.on for bite in result.bites] == ["web.redis", "web.redis", "web.postgres"]
    assert all(bite.held for bite in result.bites)


def test_evidence_that_comes_late_is_kept(lab: Lab, tmp_path: Path) -> None:
    """Of later stages, and of what thaws after the heal; a part has targets of its own."""
    fault = together(flapping(Down(), on_ms=60, off_ms=60), at("web.postgres", Freeze()))
    result = outcome(lab, tmp_path, Window(fault=fault, on="web.redis", duration_s=0.6))
    assert recovered(result), result.says
    assert [bite.on for bite in result.bites] == ["web.redis", "web.postgres", "web.postgres"]
    assert all(bite.held for bite in result.bites)


def test_a_stage_that_never_came_makes_it_invalid(lab: Lab, tmp_path: Path) -> None:
    """The window was too short for the ramp."""
    fault = ramp([Latency(delay_ms=60), Latency(delay_ms=90)], every_s=5)
    result = outcome(lab, tmp_path, Window(fault=fault, on="web.redis", duration_s=0.4))
    assert result.verdict is Verdict.INVALID
    assert "comes into effect" in result.says
