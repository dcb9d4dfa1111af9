"""The folder that a run leaves behind: it can be read, judged again and shown, without the lab."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from chaos.errors import HistoryError, UsageError, disk_errors
from chaos.results.junit import junit
from chaos.results.markdown import markdown
from chaos.results.model import Bite, Finding, Result, Subject, Verdict
from chaos.results.provenance import provenance

VERDICT_FILE: Final = "verdict.json"
SUMMARY_FILE: Final = "summary.json"
MARKDOWN_FILE: Final = "summary.md"
STEP_SUMMARY_ENV: Final = "GITHUB_STEP_SUMMARY"


def save(result: Result) -> None:
    """Write ``verdict.json`` and ``faults.jsonl`` into the result's folder."""
    record = asdict(result) | {"folder": result.folder.name}
    _write(result.folder / VERDICT_FILE, json.dumps(record, indent=2, ensure_ascii=False))
    lines = [json.dumps({"fault": fault, "on": on}) for on, fault in result.targets]
    lines += [json.dumps({"bite": asdict(bite)}, ensure_ascii=False) for bite in result.bites]
    _write(result.folder / "faults.jsonl", "".join(f"{line}\n" for line in lines))


def load(folder: Path) -> Result:
    """Read what ``save`` wrote; raises HistoryError when it is damaged."""
    path = folder / VERDICT_FILE
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        parts = {
            "verdict": Verdict(record["verdict"]),
            "bites": tuple(Bite(**b) for b in record["bites"]),
            "findings": tuple(_finding(f) for f in record["findings"]),
            "targets": tuple((on, fault) for on, fault in record["targets"]),
            "folder": folder,
        }
        return Result(**record | parts)
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = f"{path}: is not a verdict of this lab: {error!r}"
        raise HistoryError(msg) from error


def _finding(record: dict[str, Any]) -> Finding:
    read = {"verdict": Verdict(record["verdict"]), "witness": tuple(record["witness"])}
    return Finding(**record | read | {"about": Subject(record.get("about", Subject.SERVICE))})


def new_name() -> str:
    """A run id: the time in UTC and this process's id, so that runs sort by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"


def new_folder(root: Path) -> Path:
    """Make the folder of a new run below *root*, and let ``latest`` point at it."""
    folder = root / new_name()
    with disk_errors(root):
        folder.mkdir(parents=True)
    point_latest(folder)
    return folder


def point_latest(folder: Path) -> None:
    """Let the link ``latest`` beside *folder* point at it."""
    with disk_errors(folder.parent):
        pointer = folder.with_name(f".latest-{folder.name}")
        pointer.symlink_to(folder.name)
        pointer.replace(folder.with_name("latest"))


def load_all(folder: Path) -> list[Result]:
    """The results of every scenario in a run's *folder*, by id."""
    return sorted((load(path.parent) for path in folder.glob(f"*/{VERDICT_FILE}")), key=lambda r: r.id)


def finish(
    folder: Path, results: Sequence[Result], *, wall_s: float, workers: int, root: Path | None = None
) -> dict[str, Any]:
    """Write ``summary.json``, ``summary.md``, ``junit.xml`` and ``matrix.json`` of a run; returns the summary.

    Args:
        root: of the project that was tried; its commit is written down.
    """
    counts = Counter(result.verdict for result in results)
    source = provenance(root or folder)
    summary = {
        "scenarios": len(results),
        **{v.lower(): counts[v] for v in (Verdict.HELD, Verdict.REFUTED, Verdict.INVALID, Verdict.INCONCLUSIVE)},
        "wall_s": round(wall_s, 2),
        "sum_s": round(sum(r.wall_s for r in results), 2),
        "workers": workers,
        "provenance": source,
    }
    _write(folder / SUMMARY_FILE, json.dumps(summary, indent=2))
    _write(folder / MARKDOWN_FILE, markdown(results, summary))
    _write(folder / "junit.xml", junit(results, wall_s=wall_s, ended=datetime.now(UTC), properties=source))
    _write(folder / "matrix.json", json.dumps(_matrix(results), indent=2))
    return summary


def write_proof(folder: Path, proof: Mapping[str, Any]) -> None:
    """Write ``prove.json``: how many mutations there were, how many were killed, and what survived."""
    _write(folder / "prove.json", json.dumps(proof, indent=2, ensure_ascii=False))


def load_summary(folder: Path) -> dict[str, Any]:
    """Read ``summary.json``; raises HistoryError when it is missing or damaged."""
    path = folder / SUMMARY_FILE
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        missing = {"scenarios", "wall_s", "workers"} - summary.keys()
    except (OSError, ValueError, AttributeError) as error:
        msg = f"{path}: is not the summary of a run: {error!r}"
        raise HistoryError(msg) from error
    if missing:
        msg = f"{path}: is not the summary of a run: has no {', '.join(sorted(missing))}"
        raise HistoryError(msg)
    return dict(summary)


def publish(folder: Path) -> None:
    """Append ``summary.md`` to the file that a CI system names in ``GITHUB_STEP_SUMMARY``, if it does.

    Raises:
        UsageError: that file cannot be written.
    """
    if target := os.environ.get(STEP_SUMMARY_ENV):
        try:
            with Path(target).open("a", encoding="utf-8") as file:
                file.write((folder / MARKDOWN_FILE).read_text(encoding="utf-8"))
        except OSError as error:
            msg = f"{STEP_SUMMARY_ENV} names {target!r}, which cannot be written: {error.strerror}; correct or unset it"
            raise UsageError(msg) from error


def _matrix(results: Sequence[Result]) -> list[dict[str, str]]:
    """One row for each edge and fault that a scenario put together, with what was observed."""
    return [
        {"edge": on, "fault": fault, "scenario": result.id, "observed": result.verdict, "disabled": result.disabled}
        for result in results
        for on, fault in dict.fromkeys(result.targets)
    ]


def _write(path: Path, text: str) -> None:
    with disk_errors(path.parent):
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
