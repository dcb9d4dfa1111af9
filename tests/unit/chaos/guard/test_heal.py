"""Healing is proved: a process must answer at its own doors, and what comes back is taken back again."""

import socket
from dataclasses import dataclass, field

import pytest

from chaos.config import Address
from chaos.errors import HealError
from chaos.guard import heal
from chaos.guard.reach import Reach
from chaos.guard.undo import Resume, Start, Stop
from chaos.processes.supervisor import Look
from chaos.proxies import Toxiproxy

REDIS = "redis"


@dataclass
class Actors:
    """Processes that are paused and dead as often as *again* says, however often they are healed."""

    state: str = "T"
    again: int = 0
    done: list[str] = field(default_factory=list)

    def look(self, name: str) -> Look:
        assert name == REDIS
        return Look(pid=1, status=-9 if self.state == "X" else None, state=self.state)

    def pause(self, name: str) -> None:
        self._heal(f"pause {name}")

    def resume(self, name: str) -> None:
        self._heal(f"resume {name}")

    def start(self, name: str) -> None:
        self._heal(f"start {name}")

    def _heal(self, how: str) -> None:
        self.done.append(how)
        self.again -= 1
        if self.again < 0:
            self.state = "S"


def reach(actors: Actors, *doors: Address) -> Reach:
    """A lab with one process."""
    return Reach(toxiproxy=Toxiproxy, processes=actors, doors={REDIS: dict.fromkeys(doors, "tcp")})


@pytest.mark.parametrize("undo", [Resume(process=REDIS), Start(process=REDIS)], ids=lambda undo: undo.kind)
def test_a_process_that_does_not_answer_is_not_healed(undo: Resume | Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it said when it was told to go on or start; the error names the door."""
    monkeypatch.setattr(heal, "WORKS_WITHIN_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        door = Address(*server.getsockname())
        assert heal.heal_one(undo, [Stop(fault="another")], reach(Actors(), door)) == "undone"
    with pytest.raises(HealError, match=f"redis answers at {door}"):
        heal.heal_one(undo, [], reach(Actors(), door))
    heal.heal_one(undo, [Resume(process=REDIS)], reach(Actors(), door))


@pytest.mark.parametrize(("undo", "state"), [(Resume(process=REDIS), "T"), (Start(process=REDIS), "X")])
def test_what_comes_back_after_the_death_of_its_runner_is_taken_back_again(undo: Resume | Start, state: str) -> None:
    """A last request may have been under way."""
    actors = Actors(state, again=2)
    assert heal.heal_all({1: undo}, reach(actors), settle=True).healed == {1: "undone"}
    assert len(actors.done) == 3
    assert actors.state == "S"
