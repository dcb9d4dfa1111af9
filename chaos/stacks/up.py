"""What ``chaos-lab up`` tells the other commands of its project, on disk as long as it runs.

They learn how to act on its processes, as a guard does from an undo log; nothing secret is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from chaos.config import Config
from chaos.errors import UsageError, disk_errors
from chaos.guard.lines import Lab
from chaos.guard.log import limits

FILE: Final = Path(".chaos-lab") / "up.json"


class Up(BaseModel):
    """A platform that runs.

    Attributes:
        toxiproxy: the API of its Toxiproxy.
        lab: where its edges are, how to act on its processes, and who runs it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    toxiproxy: str
    lab: Lab


@contextmanager
def announced(root: Path, toxiproxy_url: str, lab: Lab) -> Iterator[None]:
    """Let other commands of the project *root* know of the platform inside the block."""
    path = root / FILE
    unfinished = path.with_suffix(".new")
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        unfinished.write_text(Up(toxiproxy=toxiproxy_url, lab=lab).model_dump_json(), encoding="utf-8")
        unfinished.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find(config: Config, toxiproxy_url: str) -> Lab | None:
    """The platform of this project that uses that Toxiproxy and still runs, if there is one.

    Raises:
        UsageError: what is on disk is damaged, or names what may not be touched.
    """
    path = config.root / FILE
    try:
        found = Up.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise _unusable(path, f"cannot be read: {error}") from error
    if found.toxiproxy != toxiproxy_url or not found.lab.runner.lives():
        return None
    if problem := limits(config)(found.lab):
        raise _unusable(path, problem)
    return found.lab


def _unusable(path: Path, problem: str) -> UsageError:
    return UsageError(f"{path}: {problem}; remove it, and start 'chaos-lab up' again")
