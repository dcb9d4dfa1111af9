"""A benchmark's targets are met or missed by what it measured, and what was not measured is missed."""

import importlib
from pathlib import Path

import pytest

from bench._targets import EACH, Target, at_least, at_most, judged, one_of

FIGURES = {"rows": {"long": {"s": 2.1, "verdict": "HELD"}, "short": {"s": 0.1, "verdict": "?"}, "other": {}}, "n": None}


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (at_most(2.1, "rows", "long", "s"), [True]),
        (at_most(2, "rows", EACH, "s"), [False, True]),
        (at_least(2, "rows", EACH, "s"), [True, False]),
        (one_of(["HELD", "REFUTED"], "rows", EACH, "verdict"), [True, False]),
        (one_of([{}], "rows", "other"), [True]),
        (at_most(2, "n"), [False]),
        (at_most(2, "rows", "longer", "s"), [False]),
        (at_most(2, "rows", EACH, "seconds"), [False]),
    ],
)
def test_a_target_is_judged_at_every_figure_it_speaks_of(target: Target, met: list[bool]) -> None:
    """A number that is none, and a figure that is not there, are missed."""
    assert [outcome.met for outcome in judged(FIGURES, [target])] == met


def test_it_says_what_was_wanted_and_what_was_measured() -> None:
    """In one line, with the way to the figure."""
    (outcome,) = judged(FIGURES, [at_most(2, "rows", "long", "s")])
    assert str(outcome) == "✗ rows → long → s: 2.1 (at most 2)"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "bench").glob("[a-z]*.py")), ids=lambda path: path.stem
)
def test_every_benchmark_declares_its_targets(path: Path) -> None:
    """So that none misses silently."""
    assert importlib.import_module(f"bench.{path.stem}").TARGETS
