"""Whatever a service answers is written down so that it can be read back, or is an unreadable answer."""

from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from chaos import ClosedLoop, Header, JsonField, Request
from chaos.history import History, Outcome
from chaos.workload.answers import Answer
from tests.support.loads import answer, drive, lines, serving


def recorded(folder: Path, said: bytes, **more: Any) -> History:
    """The history of clients who are always answered with *said*."""
    with serving(lambda _: said) as url:
        workload = ClosedLoop(plan=lambda _: repeat(Request(operation="read", path="/r", **more)), users=1)
        drive(folder, url, workload, until=lambda: lines(folder) > 6)
    return History.load(folder)


def test_a_header_that_is_no_text_is_written_with_replacements(tmp_path: Path) -> None:
    """One strange byte neither ends the workload nor leaves a file that nobody can read."""
    said = answer(200, b"{}", "X-Cache: ?", "ETag: ?").replace(b"?", b"hit\xff")
    history = recorded(tmp_path, said, reads=Header("ETag"))
    assert {(o.outcome, o.source, o.value) for o in history.operations} == {(Outcome.OK, "hit\ufffd", "hit\ufffd")}


@pytest.mark.parametrize(
    ("etag", "version", "outcome"),
    [
        (str(2**63 - 2), 2**63 - 2, Outcome.OK),
        (str(2**63 - 1), None, Outcome.INFO),
        ("10000000000000000000", None, Outcome.INFO),
        ("-1", None, Outcome.INFO),
        ("9" * 5000, None, Outcome.INFO),
    ],
    ids=lambda v: str(v)[:20],
)
def test_a_version_that_no_history_can_hold_is_an_unreadable_answer(
    tmp_path: Path, etag: str, version: int | None, outcome: Outcome
) -> None:
    """The file is read back, and nobody knows what the client saw."""
    history = recorded(tmp_path, answer(200, b"{}", f'ETag: "{etag}"'), reads_version=Header("ETag"))
    assert {(o.outcome, o.version) for o in history.operations} == {(outcome, version)}
    assert outcome is Outcome.OK or "unreadable answer" in str(history.operations[0].error)


def _surrogate(_: Answer) -> str:
    return "\ud800"


def _complaint(_: Answer) -> str:
    msg = "\ud800"
    raise ValueError(msg)


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        (b'{"n": "\\ud800"}', JsonField("n")),
        (b"[" * 10_000, JsonField("n")),
        (b"{}", _surrogate),
        (b"{}", _complaint),
        (b"{}", lambda _: object()),
    ],
    ids=["surrogate in JSON", "endless nesting", "surrogate", "surrogate in an error", "no JSON"],
)
def test_a_value_that_cannot_be_written_is_an_unreadable_answer(tmp_path: Path, body: bytes, reads: object) -> None:
    """The workload goes on."""
    history = recorded(tmp_path, answer(200, body), reads=reads)
    assert len(history.operations) >= 3
    assert {o.outcome for o in history.operations} == {Outcome.INFO}
    assert all("unreadable answer" in str(o.error) for o in history.operations)
