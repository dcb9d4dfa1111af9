"""The HALT file in the project's folder: while it is there, no fault may be injected or stay."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from chaos.errors import HaltedError

NAME: Final = "HALT"


def is_set(root: Path) -> bool:
    """Whether the project *root* is halted."""
    return (root / NAME).exists()


def refuse(root: Path) -> None:
    """Raise HaltedError when the project *root* is halted."""
    if is_set(root):
        msg = f"{root / NAME} is there, so no fault may be injected or stay; 'chaos-lab halt --lift' removes it"
        raise HaltedError(msg)
