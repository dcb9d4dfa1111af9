"""The guard's program: heals what a runner owes when the runner no longer can.

It is started by ``chaos.guard.watch`` and holds one end of a socket pair. It acts when that closes
(the runner is gone, by whatever signal), when no sign of life came for the length of the lease,
when a fault has been there for as long as it may at most, and when there is a HALT file. It ends
when the runner is gone and nothing is owed. It answers once it could heal at a moment's notice.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chaos.clock import since_boot_s
from chaos.errors import HealError
from chaos.guard import halt
from chaos.guard.channel import INHERITED, Channel
from chaos.guard.healer import Healer
from chaos.guard.log import Lab

LOOK_EVERY_S: Final = 0.25
GIVE_UP_S: Final = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Owed:
    """One undo that is owed, and when it is due at the latest (``since_boot_s``)."""

    undo: dict[str, Any]
    due_s: float


class Charge:
    """One lab: what is owed there, and what was healed without its runner.

    The runner may have been in the middle of a change when it was overtaken. What was healed stays
    suspect until the runner says that it has taken it back itself, and is healed again if it dies.
    """

    def __init__(self, details: dict[str, Any]) -> None:
        self.owed: dict[int, Owed] = {}
        self.suspect: dict[int, Owed] = {}
        self.is_ours = False
        self.healer = Healer(Path(details["log"]), Lab.model_validate(details["lab"]), details["login"])

    def heal(self, numbers: list[int], why: str, *, settle: bool = False) -> list[int]:
        """Heal *numbers* and return those that are healed."""
        known = self.owed | self.suspect
        chosen = {n: known[n].undo for n in numbers}
        staying = [owed.undo for n, owed in self.owed.items() if n not in chosen]
        done = self.healer.heal(chosen, staying, why, settle=settle)
        for number in done:
            self.suspect[number] = known[number]
            self.owed.pop(number, None)
        return done


class Loop:
    """Listens to the runner, and heals when it must."""

    def __init__(self, channel: Channel, lease_s: float, root: Path) -> None:
        self._channel = channel
        self._lease_s = lease_s
        self._root = root
        self._charges: dict[str, Charge] = {}
        self._heard_s = since_boot_s()

    def run(self) -> bool:
        """Return when the runner is gone: whether nothing is owed any more."""
        with contextlib.suppress(EOFError):
            while True:
                self._listen()
                self._act()
        return self._finish()

    def _listen(self) -> None:
        """Take in all that the runner has said; raises EOFError when it is gone."""
        due_s = [owed.due_s for charge in self._charges.values() for owed in charge.owed.values()]
        messages = self._channel.receive(min([LOOK_EVERY_S, *(moment_s - since_boot_s() for moment_s in due_s)]))
        while messages:
            self._heard_s = since_boot_s()
            for message in messages:
                self._take(message)
            messages = self._channel.receive(0)

    def _take(self, message: dict[str, Any]) -> None:
        log, do = message.get("log", ""), message["do"]
        if do == "watch":
            self._charges.setdefault(log, Charge(message))
        elif do == "enter":
            number = message["number"]
            due_s = message.get("due_s", since_boot_s() + message["at_most_s"])
            self._charges[log].owed[number] = Owed(undo=message["undo"], due_s=due_s)
            self._tell("acknowledge", log, number, due_s=due_s)
        elif do == "strike":
            self._charges[log].owed.pop(message["number"], None)
            self._charges[log].suspect.pop(message["number"], None)
        elif do == "inherit":
            charge = self._charges[log]
            charge.healer.path = Path(message["path"])
            charge.is_ours = True
            self._tell("acknowledge", log, INHERITED)
        elif do == "forget":
            self._charges.pop(log, None)

    def _act(self) -> None:
        now_s = since_boot_s()
        if halt.is_set(self._root):
            self._heal_all(f"there is a {halt.NAME} file")
        elif now_s > self._heard_s + self._lease_s:
            self._heal_all(f"its runner gave no sign of life for {self._lease_s:g} s")
        else:
            for charge in self._charges.values():
                due = [n for n, owed in charge.owed.items() if owed.due_s <= now_s]
                self._heal(charge, due, "it had been there for its maximum duration")

    def _heal_all(self, why: str) -> None:
        for charge in self._charges.values():
            self._heal(charge, list(charge.owed), why)

    def _heal(self, charge: Charge, numbers: list[int], why: str) -> None:
        if not numbers:
            return
        lived = since_boot_s() <= self._heard_s + self._lease_s
        for number in charge.heal(numbers, why):
            self._tell("taken", str(charge.healer.path), number, why=why)
        if lived:
            self._heard_s = since_boot_s()  # nobody was listening meanwhile

    def _finish(self) -> bool:
        """The runner is gone: heal everything, again and again until it is done or hopeless."""
        for charge in sorted(self._charges.values(), key=lambda charge: charge.is_ours):
            if charge.is_ours:
                self._wait_until_due(charge)
                self._finish_one(charge, "it was there for as long as it was asked for")
            else:
                self._finish_one(charge, "its runner is gone")
        return not any(charge.owed for charge in self._charges.values())

    def _wait_until_due(self, charge: Charge) -> None:
        while charge.owed and not halt.is_set(self._root):
            left_s = min(owed.due_s for owed in charge.owed.values()) - since_boot_s()
            if left_s <= 0:
                return
            time.sleep(min(LOOK_EVERY_S, left_s))

    @staticmethod
    def _finish_one(charge: Charge, why: str) -> None:
        deadline = time.monotonic() + GIVE_UP_S
        if charge.owed or charge.suspect:
            charge.heal([*charge.owed, *charge.suspect], why, settle=True)
        while charge.owed and time.monotonic() < deadline:
            charge.heal(list(charge.owed), why, settle=True)
        if charge.owed:
            charge.healer.give_up([owed.undo for owed in charge.owed.values()])
        else:
            charge.healer.path.unlink(missing_ok=True)

    def _tell(self, do: str, log: str, number: int, **more: str | float) -> None:
        with contextlib.suppress(OSError):
            self._channel.send({"do": do, "log": log, "number": number, **more})


def main() -> None:
    """Guard the runner at the other end of the socket that the command line names."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("chaos-guard", encoding="ascii")
    descriptor, lease_s, root = sys.argv[1:]
    loop = Loop(Channel(socket.socket(fileno=int(descriptor))), float(lease_s), Path(root))
    sys.exit(0 if loop.run() else HealError.exit_code)


if __name__ == "__main__":
    main()
