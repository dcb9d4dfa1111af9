"""Before anything else: heal what earlier runners left behind. Light, because there is hardly ever anything."""

from __future__ import annotations

import sys
from pathlib import Path


def heal_leftovers(root: Path) -> None:
    """Heal what is left over in the project *root*, saying so on standard error; raises HealError."""
    if not any((root / ".chaos-lab" / "undo").glob("*.jsonl")):
        return
    from rich.console import Console  # noqa: PLC0415  (heavy, as the others)

    from chaos import config  # noqa: PLC0415
    from chaos.guard import leftovers  # noqa: PLC0415

    if leftovers.waiting(root):
        with Console(stderr=True).status("healing what was left behind"):
            leftovers.heal(config.load(root), lambda text: print(f"chaos-lab: {text}", file=sys.stderr))  # noqa: T201
