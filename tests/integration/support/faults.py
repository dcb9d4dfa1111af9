"""Breaking something for the length of a ``with`` block: the one place that knows how faults are injected."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from chaos.faults.fault import Effect, Fault, inject
from chaos.lab import Lab
from chaos.results.model import Bite
from tests.integration.support.stack import NO_TOXIPROXY

LOOKS: Final = 3


@contextmanager
def broken(lab: Lab | None, fault: Fault, on: str) -> Iterator[None]:
    """Inject *fault* on the edges that *on* selects, prove that it took hold, and heal it after the block.

    Skips the test when there is no Toxiproxy to inject it with.
    """
    if lab is None:
        pytest.skip(NO_TOXIPROXY)
    injection = inject(fault, lab, on)
    try:
        unseen = _without_evidence(injection)
        assert not unseen, "; ".join(
            f"{bite.on}: expected {bite.expected}, measured {bite.measured}" for bite in unseen
        )
        yield
    finally:
        injection.heal()


def _without_evidence(injection: Effect) -> list[Bite]:
    """The bites that were not seen. A probe is one exchange: on a busy machine it may need a second look."""
    unseen: list[Bite] = []
    for _ in range(LOOKS):
        if not (unseen := [bite for bite in injection.bite() if not bite.held]):
            break
    return unseen
