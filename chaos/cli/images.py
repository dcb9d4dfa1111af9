"""Pictures of a report as files: a Chromium opens the page and hands back what it drew."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from chaos.errors import LabError, MissingToolError, disk_errors
from chaos.report.page import LANES_FOLDER, Chapter

BROWSER_ENV: Final = "CHAOS_LAB_BROWSER"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WITHIN_S: Final = 120.0
VIRTUAL_MS: Final = 60_000
"""How much of the page's own time may pass; it does not pass while the page is at work."""

_IMAGES: Final = re.compile(r'<pre id="images">(.*?)</pre>', re.DOTALL)
_FLAGS: Final = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--dump-dom")


def find_browser() -> Path:
    """The browser that ``CHAOS_LAB_BROWSER`` names, else the first Chromium or Chrome on PATH.

    Raises:
        MissingToolError: there is none.
    """
    wanted = os.environ.get(BROWSER_ENV)
    for name in [wanted] if wanted else BROWSERS:
        if path := shutil.which(name):
            return Path(path)
    missing = (
        f"{BROWSER_ENV} names {wanted!r}, which is no program" if wanted else f"none of {', '.join(BROWSERS)} on PATH"
    )
    msg = (
        f"pictures need a browser: {missing}. 'apt-get install chromium' brings one, or name one with {BROWSER_ENV}; "
        "the page itself has a button for each picture"
    )
    raise MissingToolError(msg)


def draw(page: Path, chapters: Sequence[Chapter], browser: Path) -> list[Path]:
    """Write every picture of the *page* as SVG and PNG beside the CSV files; returns the paths.

    Raises:
        LabError: the browser failed; says what it said.
    """
    return [path for chapter in chapters if chapter.lanes for path in _draw(page, chapter, browser)]


def _draw(page: Path, chapter: Chapter, browser: Path) -> list[Path]:
    images: dict[str, str] = json.loads(_dumped(f"{page.resolve().as_uri()}#images={quote(chapter.name)}", browser))
    folder = chapter.result.folder / LANES_FOLDER
    paths = []
    with disk_errors(folder):
        for name, url in images.items():
            paths.append(folder / name)
            paths[-1].write_bytes(_content(url))
    return paths


def _dumped(url: str, browser: Path) -> str:
    """What the page at *url* leaves in its element ``images``."""
    with tempfile.TemporaryDirectory(prefix="chaos-lab-browser-") as profile:
        # Chromium's sandbox refuses to run for root; the page is our own and asks for no network.
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        budget = f"--virtual-time-budget={VIRTUAL_MS}"
        command = [str(browser), *_FLAGS, *root, budget, f"--user-data-dir={profile}", url]
        elsewhere = os.environ | {"XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile}  # nothing in anyone's home
        try:
            done = subprocess.run(  # noqa: S603  (the browser that was found)
                command, capture_output=True, text=True, timeout=WITHIN_S, check=False, env=elsewhere
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            msg = f"{browser}: could not draw the pictures: {error}"
            raise LabError(msg) from error
    found = _IMAGES.search(done.stdout)
    if not found:
        msg = f"{browser}: ended with {done.returncode} and no pictures: {done.stderr.strip()[-500:] or 'no message'}"
        raise LabError(msg)
    return html.unescape(found[1])


def _content(url: str) -> bytes:
    """The bytes of a data URL."""
    head, _, body = url.partition(",")
    return base64.b64decode(body) if head.endswith(";base64") else unquote(body).encode()
