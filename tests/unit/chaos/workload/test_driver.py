"""What clients send is on disk first, on time, and ends as what they can know of it."""

import json
import os
import signal
import subprocess
import sys
from itertools import count, cycle, pairwise, repeat
from pathlib import Path
from statistics import median

import pytest

from chaos import Burst, ClosedLoop, Header, JsonField, OpenLoop, Request
from chaos.clock import wait_for
from chaos.errors import ConfigError, LabError
from chaos.history import NEVER, History, Outcome, Recorder, read_lines
from chaos.workload.driver import Driver
from tests.support.loads import CLOSE, OK, SILENCE, answer, drive, lab, lines, serving

ROOT = Path(__file__).parents[4]
READ = Request(operation="read", path="/r")


def reads(_: object):
    return repeat(Request(operation="read", path="/r", key="k"))


def writes(**more: object):
    """A plan of unique writes."""
    return lambda _: (
        Request(operation="write", method="POST", path="/w", value=n, idempotency_key=f"k{n}", **more) for n in count()
    )


def test_an_open_loop_keeps_its_schedule_though_answers_are_slow(tmp_path: Path) -> None:
    """Requests leave when they are due while earlier ones still wait, and latency counts from then."""
    with serving(lambda _: SILENCE) as url:
        plan = writes(within_s=0.5)
        history = drive(tmp_path, url, OpenLoop(plan=plan, rate=100), until=lambda: lines(tmp_path) > 60)
    starts = [o.intended_ns for o in history.operations]
    assert {b - a for a, b in pairwise(starts)} == {10_000_000}
    assert all(o.start_ns >= o.intended_ns for o in history.operations)
    assert all(o.latency_ns >= 500_000_000 for o in history.operations)
    assert {o.outcome for o in history.operations} == {Outcome.INFO}
    assert len({o.process for o in history.operations}) == len(history.operations)


def test_intended_and_achieved_rates_are_in_the_series(tmp_path: Path) -> None:
    """At 10 Hz and more, on the history's clock, with latencies and who waits."""
    with serving() as url:
        history = drive(tmp_path, url, OpenLoop(plan=reads, rate=200), until=lambda: lines(tmp_path) > 400)
    looks = [s for s in history.samples if s.service == "clients"]
    label = '{workload="1 reads"}'
    intended = [s.values["clients_intended_per_s" + label] for s in looks[1:]]
    assert sum(intended) / len(intended) == pytest.approx(200, rel=0.1)
    assert looks[-1].values["clients_sent_total" + label] <= len(history.operations)
    assert median(b.time_ns - a.time_ns for a, b in pairwise(looks)) < 1e8
    assert any('clients_latency_ms{workload="1 reads",quantile="0.99"}' in s.values for s in looks)


def test_a_burst_leaves_at_once(tmp_path: Path) -> None:
    """Twenty requests with the same intended moment."""
    with serving() as url:
        workload = OpenLoop(plan=reads, rate=Burst(size=20, every_s=0.2))
        history = drive(tmp_path, url, workload, until=lambda: lines(tmp_path) > 81)
    assert len({o.intended_ns for o in history.operations[:20]}) == 1
    assert history.operations[20].intended_ns - history.operations[0].intended_ns == 200_000_000


def test_each_user_of_a_closed_loop_is_one_client_in_order(tmp_path: Path) -> None:
    """Three processes, and none sends before its last answer."""
    with serving() as url:
        workload = ClosedLoop(plan=reads, users=3, think_s=(0.001, 0.003))
        history = drive(tmp_path, url, workload, until=lambda: lines(tmp_path) > 100)
    assert {o.process for o in history.operations} == {1, 2, 3}
    for process in (1, 2, 3):
        own = [o for o in history.operations if o.process == process]
        assert all(a.end_ns <= b.start_ns for a, b in pairwise(own))


def test_a_user_with_an_unknown_outcome_goes_on_as_another_client(tmp_path: Path) -> None:
    """The process id of a reset request never comes back."""
    with serving(lambda _: CLOSE) as url:
        history = drive(tmp_path, url, ClosedLoop(plan=reads, users=1), until=lambda: lines(tmp_path) > 20)
    assert {o.outcome for o in history.operations} == {Outcome.INFO}
    assert [o.process for o in history.operations] == list(range(1, len(history.operations) + 1))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_a_request_is_on_the_wire_exactly_once(tmp_path: Path, method: str) -> None:
    """No library sends an idempotent one again behind the history's back."""
    seen: list[bytes] = []
    broken = cycle([OK, CLOSE])

    def reply(request: bytes) -> bytes:
        if b"/metrics" not in request and b"/proxies" not in request:
            seen.append(request)
            return next(broken)
        return OK

    with serving(reply) as url:
        plan = lambda _: repeat(Request(operation="x", path="/x", method=method))  # noqa: E731
        history = drive(tmp_path, url, ClosedLoop(plan=plan, users=1), until=lambda: lines(tmp_path) > 20)
    assert len(seen) == len(history.operations)


def test_a_retry_that_succeeds_is_one_operation_over_the_whole_interval(tmp_path: Path) -> None:
    """Unknown at first, ok in the end: ok, with both attempts and what the first came to."""
    answers = {}

    def reply(request: bytes) -> bytes | None:
        if b"POST" not in request:
            return OK
        key = request.split(b"Idempotency-Key: ")[1].split(b"\r\n")[0]
        answers[key] = answers.get(key, 0) + 1
        return answer(503) if answers[key] == 1 else answer(201)

    with serving(reply) as url:
        plan = writes(attempts=3)
        history = drive(
            tmp_path,
            url,
            ClosedLoop(plan=plan, users=1),
            until=lambda: b'"ok"' in (tmp_path / "history.jsonl").read_bytes(),
        )
    first = history.operations[0]
    assert (first.outcome, first.attempts, first.status) == (Outcome.OK, 2, 201)
    assert first.end_ns - first.start_ns >= 200_000_000
    attempt = next(e for _, e in read_lines(tmp_path / "history.jsonl") if e["type"] == "attempt")
    assert (attempt["attempt"], attempt["after"], attempt["after_status"]) == (2, "info", 503)


def test_what_was_read_is_the_value_of_the_completion(tmp_path: Path) -> None:
    """With version, age and source; an answer that cannot be read leaves the outcome open."""
    said = cycle([answer(200, b'{"n": 7}', 'ETag: "3"', "Age: 2", "X-Cache: stale"), answer(200, b"{}", "ETag: 4")])

    def plan(_: object):
        return repeat(Request(operation="read", path="/r", reads=JsonField("n"), reads_version=Header("ETag")))

    with serving(lambda request: next(said) if b"/r " in request else OK) as url:
        drive(tmp_path, url, ClosedLoop(plan=plan, users=1), until=lambda: lines(tmp_path) > 9)
    ended = [e for _, e in read_lines(tmp_path / "history.jsonl") if e["type"] in {"ok", "info"}]
    good, bad = ended[:2]
    assert [good[name] for name in ("type", "value", "version", "age_s", "source")] == ["ok", 7, 3, 2.0, "stale"]
    assert (bad["type"], bad["value"]) == ("info", None)
    assert "nothing at 'n'" in bad["error"]


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/merge-patch+json"}])
def test_a_body_is_json_of_the_kind_that_the_plan_says(tmp_path: Path, headers: dict[str, str]) -> None:
    """One Content-Type, the plan's own where it has one, and the whole body."""
    seen: list[bytes] = []

    def reply(request: bytes) -> bytes:
        if b"/w " in request:
            seen.append(request)
        return OK

    plan = lambda _: repeat(Request(operation="w", method="PATCH", path="/w", headers=headers, body={"a": [1]}))  # noqa: E731
    with serving(reply) as url:
        drive(tmp_path, url, ClosedLoop(plan=plan, users=1), until=lambda: lines(tmp_path) > 3)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    kinds = [line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-type")]
    assert kinds == [(headers.get("content-type") or "application/json").encode()]
    assert body == b'{"a":[1]}'
    assert b"Content-Length: 9" in head


def test_a_version_is_a_whole_number(tmp_path: Path) -> None:
    """Anything else could not be ordered, so what was read stays unknown."""
    plan = lambda _: repeat(Request(operation="read", path="/r", reads_version=Header("ETag")))  # noqa: E731
    with serving(lambda _: answer(200, b"{}", "ETag: abc")) as url:
        drive(tmp_path, url, ClosedLoop(plan=plan, users=1), until=lambda: lines(tmp_path) > 3)
    ended = next(e for _, e in read_lines(tmp_path / "history.jsonl") if e["type"] == "info")
    assert "version 'abc' is not a whole number" in ended["error"]


def test_what_follows_an_answer_is_done_by_the_same_client(tmp_path: Path) -> None:
    """A write made of the version that was read: compare and set."""

    def plan(_: object):
        return repeat(
            Request(
                operation="read",
                path="/r",
                then=lambda a: Request(operation="cas", method="PUT", path="/w", value=a.json()["ok"]),
            )
        )

    with serving() as url:
        history = drive(tmp_path, url, OpenLoop(plan=plan, rate=50), until=lambda: lines(tmp_path) > 20)
    for process in {o.process for o in history.operations}:
        own = [o for o in history.operations if o.process == process]
        assert all(o.operation == ("cas" if number % 2 else "read") for number, o in enumerate(own))
        assert all(o.value is True for o in own if o.operation == "cas")
    assert [o.operation for o in history.operations].count("cas") > 1


def test_plans_that_give_nothing_are_named_before_anything_is_sent(tmp_path: Path) -> None:
    """All of them at once."""
    broken = [OpenLoop(plan=lambda _: iter(()), rate=1), OpenLoop(plan=lambda _: [READ], rate=1)]  # type: ignore[arg-type,return-value]
    with Recorder(tmp_path, "T-1") as recorder, pytest.raises(ConfigError, match=r"2 problems\n.*None.*\n.*Request"):
        Driver(lab("http://127.0.0.1:1"), broken, recorder)
    assert lines(tmp_path) == 1


def test_a_plan_that_ends_is_named(tmp_path: Path) -> None:
    """With how far it got, when the driver is stopped."""
    asked: list[str] = []

    def short(_: object):
        yield from (READ, READ)
        asked.append("a third")

    with serving() as url, pytest.raises(LabError, match=r"the plan short ended after 2 requests; .* without end"):
        drive(tmp_path, url, OpenLoop(plan=short, rate=100), until=lambda: asked)


def test_a_header_that_would_be_two_is_refused(tmp_path: Path) -> None:
    """A line break in a request's header never reaches the wire."""
    plan = lambda _: repeat(Request(operation="read", path="/r", headers={"A": "b\r\nC: d"}))  # noqa: E731
    with serving() as url, pytest.raises(LabError, match="a line break in the path or a header"):
        drive(tmp_path, url, OpenLoop(plan=plan, rate=100), until=lambda: lines(tmp_path) >= 2)


LOAD = """
import sys
from itertools import count
from pathlib import Path
from statistics import median
from chaos import OpenLoop, Request
from chaos.history import Recorder
from chaos.workload.driver import Driver
from tests.support.loads import lab

plan = lambda _: (Request(operation="write", method="POST", path="/w", value=n) for n in count())
driver = Driver(lab(sys.argv[2]), [OpenLoop(plan=plan, rate=500)], Recorder(Path(sys.argv[1]), "T-1"))
driver.start()
driver._thread.join()
"""


def test_a_killed_runner_leaves_a_readable_history(tmp_path: Path) -> None:
    """After a real SIGKILL every write that a server saw is there, and those under way are unknown."""
    seen: set[int] = set()
    received = count()

    def reply(request: bytes) -> bytes | None:
        if b"POST" in request:
            seen.add(next(received))
            return SILENCE if len(seen) % 10 == 0 else OK
        return OK

    with serving(reply) as url:
        process = subprocess.Popen([sys.executable, "-c", LOAD, str(tmp_path), url], cwd=ROOT, env=os.environ)
        try:
            wait_for(lambda: len(seen) >= 200, what="the load runs", within_s=30)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)
        history = History.load(tmp_path)
    assert len(history.operations) >= len(seen)
    unknown = [o for o in history.operations if o.outcome is Outcome.INFO]
    assert 20 <= len(unknown) < len(history.operations)
    assert all(o.end_ns == NEVER for o in unknown)
    assert json.loads((tmp_path / "series.jsonl").read_text().splitlines()[0])
