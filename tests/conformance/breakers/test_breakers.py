"""Ours passes every check; the others answer as `docs/breakers.md` says."""

import asyncio

import pytest

from tests.conformance.breakers import table
from tests.conformance.breakers.adapters import Ours
from tests.conformance.breakers.checks import CHECKS


@pytest.mark.parametrize("name", CHECKS)
def test_ours_passes(name):
    """Our breaker has no red cell."""
    answer = asyncio.run(CHECKS[name](Ours()))
    assert answer.held, answer.seen


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_document_is_true():
    """`docs/breakers.md` is what a measurement writes today."""
    measured = table.render(table.measure())
    assert table.DOC.read_text(encoding="utf-8") == measured, "run python -m tests.conformance.breakers.table"
