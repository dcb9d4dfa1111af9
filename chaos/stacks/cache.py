"""The lab's cache: what is built once and used by every lab of this user.

``CHAOS_LAB_CACHE`` names another folder. Nothing else is ever written outside the project.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from chaos.errors import disk_errors


def folder() -> Path:
    """The cache folder, made if need be."""
    path = Path(os.environ.get("CHAOS_LAB_CACHE") or platformdirs.user_cache_path("chaos-lab"))
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def built(path: Path, build: Callable[[Path], None]) -> Path:
    """Return *path*, after *build* has filled it if it was missing.

    Only one process builds; the others wait. *build* fills a folder beside *path*, which is then
    renamed, so that a half-built one is never seen.
    """
    if path.exists():
        return path
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                _build(path, build)
    return path


def copied(source: Path, target: Path) -> None:
    """Copy the folder *source* to *target*, which must not exist."""
    with disk_errors(target):
        shutil.copytree(source, target)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file *path*; waits for whoever has it."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(path: Path, build: Callable[[Path], None]) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        build(unfinished)
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
