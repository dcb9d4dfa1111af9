"""A record of undos that keeps them in memory."""

from dataclasses import dataclass, field

from chaos.guard.undo import Undo


@dataclass
class Notes:
    """What a keeper had written down."""

    entered: dict[int, Undo] = field(default_factory=dict)
    struck: list[int] = field(default_factory=list)
    others: dict[int, str] = field(default_factory=dict)

    def enter(self, number: int, undo: Undo, at_most_s: float) -> None:
        del at_most_s
        self.entered[number] = undo

    def strike(self, number: int, how: str) -> None:
        del how
        self.struck.append(number)

    def taken(self) -> dict[int, str]:
        return self.others

    def check(self) -> None:
        """Nothing forbids anything."""

    def hand_over(self) -> None:
        """There is nobody else."""

    def close(self) -> None:
        """Nothing is open."""
