"""How a process that is not the runner acts on what the runner's stack runs: data that outlives the runner.

Each way to run processes has a kind of handle of its own; a container's would carry its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from chaos.errors import LabError
from chaos.processes import run_folder
from chaos.processes.supervisor import Look, Supervisor

ANSWER_WITHIN_S: Final = 5.0


class ForkedProcess(BaseModel):
    """A process of a fork server, which remembers how it was started: no password is handed on.

    Attributes:
        supervisor: the fork server's socket, which speaks to nobody but the same user.
        number: the fork server's, the same for life.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["forked"] = "forked"
    supervisor: str
    number: int

    def look(self) -> Look:
        """How it is now; this and the others raise LabError."""
        with self._asked() as supervisor:
            return supervisor.look(self.number)

    def kill(self) -> None:
        """Kill it with its family."""
        with self._asked() as supervisor:
            supervisor.kill(self.number)

    def pause(self) -> None:
        """Stop it with its family."""
        with self._asked() as supervisor:
            supervisor.pause(self.number)

    def resume(self) -> None:
        """Let it go on; nothing happens to one that runs or is dead."""
        with self._asked() as supervisor:
            supervisor.resume(self.number)

    def start(self) -> None:
        """Start it again as it was, unless it runs."""
        with self._asked() as supervisor:
            supervisor.again(self.number)

    def is_gone(self) -> bool:
        """Whether its fork server has ended, and with it every process that it started."""
        try:
            Supervisor(Path(self.supervisor)).close()
        except OSError:
            return True
        return False

    def problem(self) -> str:
        """Why nobody may act through it, or nothing."""
        if run_folder.is_ours(Path(self.supervisor).parent):
            return ""
        return f"names {self.supervisor!r} as its fork server, which lies in no folder of a lab"

    @contextmanager
    def _asked(self) -> Iterator[Supervisor]:
        try:
            supervisor = Supervisor(Path(self.supervisor), within_s=ANSWER_WITHIN_S)
        except OSError as error:
            msg = f"the fork server at {self.supervisor!r} does not answer: {error}"
            raise LabError(msg) from error
        with supervisor:
            yield supervisor


Handle: TypeAlias = ForkedProcess
"""To be a union by ``kind`` once there is another way to run processes."""
