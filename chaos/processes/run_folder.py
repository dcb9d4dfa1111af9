"""The folder in which a running lab keeps its data, sockets and logs.

It lies in memory where there is room (copying a Postgres template there is ten times faster), or
in ``TMPDIR``. The fork server deletes it; when even that was killed, the next lab does.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from chaos.errors import disk_errors

MEMORY: Final = Path("/dev/shm")  # noqa: S108  (folders in it are made by mkdtemp)
MEMORY_BYTES_MIN: Final = 1_000_000_000

_NAME: Final = re.compile(r"chaos-lab-(\d+)-")


def create() -> Path:
    """Make a fresh folder for this process, after sweeping away those whose process is gone."""
    root = _root()
    for old in root.glob("chaos-lab-*"):
        if _is_abandoned(old):
            shutil.rmtree(old, ignore_errors=True)
    with disk_errors(root):
        return Path(tempfile.mkdtemp(prefix=f"chaos-lab-{os.getpid()}-", dir=root))


def is_ours(folder: Path) -> bool:
    """Whether *folder* is, or by its name was, the folder of a lab of this user."""
    return _NAME.match(folder.name) is not None and _owner(folder) in {None, os.getuid()}


def _root() -> Path:
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK | os.X_OK):
        space = os.statvfs(MEMORY)
        if space.f_bavail * space.f_frsize >= MEMORY_BYTES_MIN:
            return MEMORY
    return Path(tempfile.gettempdir())


def _is_abandoned(folder: Path) -> bool:
    if not (named := _NAME.match(folder.name)):
        return False
    return _owner(folder) == os.getuid() and not Path(f"/proc/{named[1]}").exists()


def _owner(folder: Path) -> int | None:
    """The user whose *folder* it is; None when it is not there, or another lab has just swept it away."""
    try:
        return folder.lstat().st_uid
    except FileNotFoundError:
        return None
