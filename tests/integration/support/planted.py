"""Planted defects: each one is switched on, and the tests that name it must fail by an assertion of their own.

First they all run without a defect: a test that is not green then is judged against none.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from services import plants

MARKER: Final = "planted"
WITHIN_S: Final = 240.0
RAISED: Final = "raised"
"""The property of a test in a JUnit report that names the exception it ended with."""

RED: Final = "red"
SURVIVED: Final = "SURVIVED"
BROKEN: Final = "not judged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How a test ended: "red" by its own assertion, "SURVIVED", or "not judged" and why."""

    kind: str
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What one test said while one defect was planted."""

    defect: str
    test: str
    verdict: Verdict


def by_defect(items: Iterable[pytest.Item]) -> dict[str, list[str]]:
    """The tests that name each defect, by their node ids."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in items:
        for marker in item.iter_markers(MARKER):
            for defect in marker.args:
                found[defect].append(item.nodeid)
    return dict(sorted(found.items()))


def judge(root: Path, wanted: Mapping[str, Sequence[str]], within_s: float = WITHIN_S) -> Iterator[Judged]:
    """Run the tests of each defect on a platform that has it, one after the other, once they were green without.

    Each of these runs may take *within_s* seconds.
    """
    named = sorted({test for tests in wanted.values() for test in tests})
    control = _run(root, named, {}, within_s)
    for defect, tests in wanted.items():
        green = [test for test in tests if control[test].kind == SURVIVED]
        found = _run(root, green, environment(defect), within_s) if green else {}
        for test in tests:
            verdict = found.get(test) or Verdict(kind=BROKEN, why=f"without the defect: {control[test].why or 'fails'}")
            yield Judged(defect=defect, test=test, verdict=verdict)


def table(judged: Sequence[Judged]) -> list[str]:
    """Verdict, defect and test as lines of text, and why a test was not judged."""
    width = max((len(line.defect) for line in judged), default=0) + 2
    return [
        f"{line.verdict.kind:<12}{line.defect:<{width}}{line.test.rpartition('::')[2]}"
        + (f"  ({line.verdict.why})" if line.verdict.why else "")
        for line in judged
    ]


def environment(defect: str) -> dict[str, str]:
    """The variables that plant *defect*: mistakes of their own and safeguards that are off, joined by " + "."""
    parts = defect.split(" + ")
    return {
        plants.VARIABLE: ",".join(part for part in parts if part in plants.CATALOGUE),
        "RESILIENCE_DISABLE": ",".join(part for part in parts if part not in plants.CATALOGUE),
    }


def verdicts_of(report: str) -> dict[str, Verdict]:
    """The verdict of each test in a JUnit *report*: only an AssertionError of the test itself makes it red.

    An error in a fixture, a skip, and any other exception, such as one of waiting too long, judge nothing.
    """
    cases = ET.fromstring(report).iter("testcase")  # noqa: S314  (our own file)
    return {case.attrib["name"]: _verdict_of(case) for case in cases}


def _verdict_of(case: ET.Element) -> Verdict:
    for kind in ("error", "skipped"):
        if (found := case.find(kind)) is not None:
            return Verdict(kind=BROKEN, why=f"{kind}: {found.get('message', '').partition(chr(10))[0]}")
    if (failure := case.find("failure")) is None:
        return Verdict(kind=SURVIVED)
    raised = [found.get("value") for found in case.iter("property") if found.get("name") == RAISED]
    if raised == [AssertionError.__name__]:
        return Verdict(kind=RED)
    return Verdict(kind=BROKEN, why=failure.get("message", "").partition("\n")[0])


def _run(root: Path, tests: Sequence[str], variables: Mapping[str, str], within_s: float) -> dict[str, Verdict]:
    """How each of *tests* ends, by its node id, on a platform with these *variables*."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
        try:
            done = subprocess.run(
                command,
                cwd=root,
                env=os.environ | variables,
                capture_output=True,
                text=True,
                timeout=within_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return dict.fromkeys(tests, Verdict(kind=BROKEN, why=f"not over after {within_s:g} s"))
        verdicts = verdicts_of(report.read_text()) if report.exists() else {}
    last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
    missing = Verdict(kind=BROKEN, why=f"it did not run: {last}")
    return {test: verdicts.get(test.rpartition("::")[2], missing) for test in tests}
