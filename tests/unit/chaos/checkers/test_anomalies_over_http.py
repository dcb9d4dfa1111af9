"""Four of the anomalies over HTTP: a small real server, the lab's own workload, its recorder, its checkers."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chaos import Answer, ClosedLoop, JsonField, Request
from chaos.checkers.compare_and_set import CompareAndSet
from chaos.checkers.finding import Checker
from chaos.checkers.idempotency import Idempotency
from chaos.checkers.ledger import Ledger
from chaos.checkers.register import Register
from chaos.history import History
from chaos.results.model import Verdict
from chaos.workload.request import Plan
from tests.support.loads import CLOSE, OK, answer, drive, lines, serving

RUNS, AT_LEAST = 10, 9
USERS, LINES, AGAIN = 16, 200, 3
WINDOW_S = 0.005
"""How long a server with a race waits for somebody to run into it."""


@dataclass(kw_only=True)
class Server:
    """Sound: one document, and widgets, each made once for its idempotency key."""

    chance: random.Random
    lock: threading.Lock = field(default_factory=threading.Lock)
    past: list[Any] = field(default_factory=lambda: [None])
    widgets: dict[str, int] = field(default_factory=Counter)
    posted: set[bytes] = field(default_factory=set)
    again: int = 0

    def __call__(self, request: bytes) -> bytes:
        """Answer one request; some connections break when everything is done."""
        head, _, body = request.partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        act: Callable[[Any], bytes] | None = getattr(self, f"{method.lower()}_{path.strip('/')}", None)
        if act is None:
            return OK
        said = act(json.loads(body) if body else None)
        with self.lock:
            self.again += method == "POST" and body in self.posted
            self.posted |= {body} if method == "POST" else set()
        return CLOSE if method == "POST" and self.chance.random() < 0.1 else said

    def was_asked_again(self) -> bool:
        """Whether clients came back with some keys, if they send any."""
        return not self.posted or self.again >= AGAIN

    def get_document(self, _: Any) -> bytes:
        """The document."""
        with self.lock:
            return answer(200, json.dumps({"n": self.shown()}).encode())

    def shown(self) -> Any:
        """What is read."""
        return self.past[-1]

    def put_document(self, body: Any) -> bytes:
        """Another document; only in place of the one that the client expects, if it expects one."""
        with self.lock:
            if body.get("expected", self.past[-1]) != self.past[-1]:
                return answer(412)
            self.past.append(body["n"])
        return OK

    def post_widgets(self, body: Any) -> bytes:
        """Make a widget, unless its key is known."""
        with self.lock:
            self.widgets[body["name"]] = 1
        return answer(201)


class ServesStale(Server):
    """Some reads are answered by a cache that lacks more documents than there are users to be writing one."""

    def shown(self) -> Any:
        return self.past[-1] if self.chance.random() < 0.5 else self.past[-USERS - 2 :][0]


@dataclass(kw_only=True)
class ChecksThenReplaces(Server):
    """Looks at the document at one moment and replaces it at another."""

    entered: threading.Condition = field(default_factory=threading.Condition)

    def put_document(self, body: Any) -> bytes:
        if body["expected"] != self.past[-1]:
            return answer(412)
        with self.entered:
            self.entered.notify_all()
            self.entered.wait(WINDOW_S)
        self.past.append(body["n"])
        return OK


class LosesWidgets(Server):
    """Acknowledges what it then drops."""

    def post_widgets(self, body: Any) -> bytes:
        return answer(201) if self.chance.random() < 0.2 else super().post_widgets(body)


class MakesTwice(Server):
    """Does not know idempotency keys."""

    def post_widgets(self, body: Any) -> bytes:
        with self.lock:
            self.widgets[body["name"]] += 1
        return answer(201)


def documents(_: object) -> Iterator[Request]:
    """Writes the document and reads it five times."""
    for n in count(1):
        yield Request(operation="write", method="PUT", path="/document", key="d", body={"n": n}, value=n)
        yield from [Request(operation="read", path="/document", key="d", reads=JsonField("n"))] * 5


def edits(_: object) -> Iterator[Request]:
    """Reads the document and replaces what was read."""
    for n in count(1):
        replaced = partial(_edit, n)
        yield Request(operation="read", path="/document", key="d", reads=JsonField("n"), then=replaced)


def _edit(n: int, seen: Answer) -> Request:
    body = {"n": n, "expected": seen.json()["n"]}
    return Request(operation="cas", method="PUT", path="/document", key="d", body=body, value=[body["expected"], n])


def creates(_: object) -> Iterator[Request]:
    """Makes widgets; a client tries again with the same key until it knows."""
    for n in count(1):
        yield Request(
            operation="create",
            method="POST",
            path="/widgets",
            body={"name": f"w{n}"},
            value=f"w{n}",
            idempotency_key=f"w{n}",
            attempts=20,
        )


Final = Callable[[Server, History], History]


def widgets_at_rest(server: Server, history: History) -> History:
    """How often each widget is there."""
    with server.lock:
        return replace(history, final=dict(server.widgets))


def nothing_at_rest(server: Server, history: History) -> History:
    """Reads have told everything."""
    return history


REGISTER, SWAPS = {"stale read": Register()}, {"lost update": CompareAndSet()}
LOST = {"lost acknowledged write": Ledger(operation="create")}
TWICE = {"doubled": Ledger(operation="create"), "double apply": Idempotency(operation="create", effects="value")}
ROWS: list[tuple[type[Server], Plan, Final, dict[str, Checker]]] = [
    (ServesStale, documents, nothing_at_rest, REGISTER),
    (ChecksThenReplaces, edits, nothing_at_rest, SWAPS),
    (LosesWidgets, creates, widgets_at_rest, LOST),
    (MakesTwice, creates, widgets_at_rest, TWICE),
]
SOUND = [row for row in ROWS if row[0] is not LosesWidgets]


def served(folder: Path, kind: type[Server], plan: Plan, final: Final, seed: int) -> History:
    """The history of its users on a server of *kind*."""
    server = kind(chance=random.Random(seed))
    with serving(server) as url:
        enough = lambda: lines(folder) > LINES and server.was_asked_again()  # noqa: E731
        history = drive(folder, url, ClosedLoop(plan=plan, users=USERS), until=enough)
    return final(server, history)


@pytest.mark.parametrize(("kind", "plan", "final", "checkers"), ROWS, ids=[row[0].__name__ for row in ROWS])
def test_a_defect_of_a_real_server_is_named(
    kind: type[Server], plan: Plan, final: Final, checkers: dict[str, Checker], tmp_path: Path
) -> None:
    """In nine of ten runs at least."""
    found: Counter[str] = Counter()
    for seed in range(RUNS):
        history = served(tmp_path / str(seed), kind, plan, final, seed)
        for anomaly, checker in checkers.items():
            finding = checker(history)
            found[anomaly] += finding.verdict is Verdict.REFUTED and anomaly.replace(" ", "_") in finding.measured
    assert all(found[anomaly] >= AT_LEAST for anomaly in checkers), found


@pytest.mark.parametrize(("kind", "plan", "final", "checkers"), SOUND, ids=[row[1].__name__ for row in SOUND])
def test_the_same_server_without_the_defect_is_held(
    kind: type[Server], plan: Plan, final: Final, checkers: dict[str, Checker], tmp_path: Path
) -> None:
    """In all of ten runs, though connections break and clients try again."""
    for seed in range(RUNS):
        history = served(tmp_path / str(seed), Server, plan, final, seed)
        findings = [checker(history) for checker in checkers.values()]
        assert {finding.verdict for finding in findings} == {Verdict.HELD}, findings
