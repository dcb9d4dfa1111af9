"""The folder that a run leaves behind: it can be read, judged again and shown, without the lab."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from chaos.errors import HistoryError, disk_errors
from chaos.results.model import Bite, Finding, Result, Verdict, details

VERDICT_FILE: Final = "verdict.json"


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
    return Finding(**record | {"verdict": Verdict(record["verdict"]), "witness": tuple(record["witness"])})


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


def finish(folder: Path, results: Sequence[Result], *, wall_s: float, workers: int) -> dict[str, Any]:
    """Write ``summary.json``, ``junit.xml`` and ``matrix.json`` of a run; returns the summary."""
    counts = Counter(result.verdict for result in results)
    summary = {
        "scenarios": len(results),
        **{v.lower(): counts[v] for v in (Verdict.HELD, Verdict.REFUTED, Verdict.INVALID, Verdict.INCONCLUSIVE)},
        "wall_s": round(wall_s, 2),
        "sum_s": round(sum(r.wall_s for r in results), 2),
        "workers": workers,
    }
    _write(folder / "summary.json", json.dumps(summary, indent=2))
    _write(folder / "junit.xml", _junit(results, wall_s))
    _write(folder / "matrix.json", json.dumps(_matrix(results), indent=2))
    return summary


def _matrix(results: Sequence[Result]) -> list[dict[str, str]]:
    """One row for each edge and fault that a scenario put together, with what was observed."""
    return [
        {"edge": on, "fault": fault, "scenario": result.id, "observed": result.verdict, "disabled": result.disabled}
        for result in results
        for on, fault in dict.fromkeys(result.targets)
    ]


def _junit(results: Sequence[Result], wall_s: float) -> str:
    failures = sum(r.verdict is Verdict.REFUTED for r in results)
    errors = sum(r.verdict in {Verdict.INVALID, Verdict.INCONCLUSIVE} for r in results)
    suite = ET.Element(
        "testsuite",
        name="resilience",
        tests=str(len(results)),
        failures=str(failures),
        errors=str(errors),
        time=f"{wall_s:.3f}",
    )
    for result in results:
        case = ET.SubElement(
            suite, "testcase", classname="resilience", name=f"{result.id} {result.title}", time=f"{result.wall_s:.3f}"
        )
        if result.verdict is not Verdict.HELD:
            tag = "failure" if result.verdict is Verdict.REFUTED else "error"
            ET.SubElement(case, tag, message=result.says, type=result.verdict).text = details(result)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _write(path: Path, text: str) -> None:
    with disk_errors(path.parent):
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
