"""Faults in which packets vanish: both directions, or only the replies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chaos.faults.arguments import check, share
from chaos.faults.bites import contrast
from chaos.faults.fault import Change
from chaos.faults.toxics import toxic
from chaos.lab import Lab
from chaos.probes import Answer

_silent = partial(contrast, expected=Answer.SILENT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Blackhole:
    """Nothing arrives in either direction, and nobody is told.

    Toxiproxy's ``timeout: 0``: connections stay open; healing closes them, and what was sent
    meanwhile is gone.

    Attributes:
        toxicity: share of connections, drawn for each direction of each.
    """

    toxicity: float = 1.0

    def __post_init__(self) -> None:
        check(self, share(self))

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic in each direction."""
        requests = (
            toxic(edge, "timeout", "upstream", shows=None, toxicity=self.toxicity, timeout=0) for edge in lab.edges(on)
        )
        return (*requests, *HalfOpen(toxicity=self.toxicity).changes(lab, on))


@dataclass(frozen=True, kw_only=True, slots=True)
class HalfOpen:
    """Requests arrive, replies are lost: the dependency acts and the caller never hears of it.

    Attributes:
        toxicity: share of connections, drawn once for each.
    """

    toxicity: float = 1.0

    def __post_init__(self) -> None:
        check(self, share(self))

    def changes(self, lab: Lab, on: str) -> tuple[Change, ...]:
        """A toxic on the replies."""
        return tuple(
            toxic(edge, "timeout", "downstream", shows=_silent, toxicity=self.toxicity, timeout=0)
            for edge in lab.edges(on)
        )
