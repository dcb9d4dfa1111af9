"""``chaos-lab inject`` and its neighbours on a platform that runs."""

import http.server
import json
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench._rig import Rig, rig
from chaos.cli import app, fault_options
from chaos.cli.edges import complete_targets
from chaos.cli.inject import duration
from chaos.clock import wait_for
from tests.lab.test_guard import healed, lab

pytestmark = pytest.mark.integration

NEEDS = {
    "bandwidth": ["--rate-kbps", "16"],
    "latency": ["--delay-ms", "80", "--jitter-ms", "10"],
    "limit-data": ["--bytes", "40"],
    "slicer": ["--average-bytes", "8", "--delay-us", "100"],
    "slow-close": ["--delay-ms", "30"],
}
"""What faults must be told, as options."""

ON_EDGES = sorted(fault_options.all_faults().keys() - {"kill", "pause", "restart"})
SLOW = ["inject", "one.*", "latency", "--delay-ms", "80", "--jitter-ms", "10", "--for", "200ms"]


class Recorder(http.server.BaseHTTPRequestHandler):
    """Passes every request on to a Toxiproxy, and writes it down."""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        self.server.seen.append((self.command, self.path, json.loads(body) if body else None))
        request = urllib.request.Request(self.server.target + self.path, body, method=self.command)  # noqa: S310
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                status, reply = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, reply = error.code, error.read()
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """A Toxiproxy with three edges."""
    with rig() as one:
        yield one


@pytest.fixture
def one(shared: Rig) -> Iterator[Rig]:
    """The same, whole after each test."""
    yield shared
    wait_for(lambda: healed(shared), what="nothing is left over", within_s=10)


@pytest.fixture
def recorder(one: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.ThreadingHTTPServer]:
    """What TOXIPROXY_URL names: it passes on to the rig's Toxiproxy."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.seen, server.target = [], one.server.url
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("TOXIPROXY_URL", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def without_pid(text: str) -> str:
    """Toxics carry their runner's process id."""
    return re.sub(r"-\d+-(\d+)", r"-PID-\1", text)


def renumbered(text: str) -> str:
    """Toxics carry numbers that count up as long as their process lives."""
    names = dict.fromkeys(re.findall(r"-\d+-\d+", text))
    return re.sub(r"-\d+-\d+", lambda name: f"-N{[*names].index(name[0])}", text)


@pytest.mark.parametrize("fault", ON_EDGES)
@pytest.mark.parametrize("on", ["one.http", "*"])
def test_a_dry_run_sends_nothing_and_prints_what_would_be_sent(
    one: Rig, recorder: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, fault: str, on: str
) -> None:
    """The real one then sends exactly that, on one edge and on all; not each can bite a service that hangs up."""
    monkeypatch.chdir(one.root)
    command = ["inject", on, fault, *NEEDS.get(fault, ()), "--for", "50ms", "--json"]
    dry = CliRunner().invoke(app, [*command, "--dry-run"], catch_exceptions=False)
    assert dry.exit_code == 0, dry.stderr
    assert recorder.seen == []
    real = CliRunner().invoke(app, command, catch_exceptions=False)
    assert json.loads(real.stdout)["healed"], real.output
    url = os.environ["TOXIPROXY_URL"]
    printed = [[sent["method"], sent["url"].removeprefix(url), sent["body"]] for sent in json.loads(dry.stdout)]
    assert len(printed) > 2
    assert renumbered(json.dumps(printed)) == renumbered(json.dumps(recorder.seen))


def test_a_dry_run_reads_like_what_is_sent(one: Rig) -> None:
    """One line for each request."""
    out = without_pid(lab(one, *SLOW, "--dry-run")[1])
    assert f"inject: POST {one.server.url}/proxies/one.http/toxics " in out
    assert '"attributes": {"latency": 80, "jitter": 10}' in out
    assert f"heal: DELETE {one.server.url}/proxies/one.http/toxics/latency-PID-1" in out


def test_a_fault_is_held_seen_and_healed(one: Rig) -> None:
    """The bite is measured on the wire."""
    code, out, err = lab(one, *SLOW, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["healed"], told["for_s"]) == (True, 0.2)
    assert [(bite["on"], bite["bit"]) for bite in told["bites"]] == [("one.http", True)]
    assert one.is_clean()


def test_a_detached_fault_is_listed_and_healed_by_the_guard(one: Rig) -> None:
    """The command has returned long before."""
    code, _, err = lab(one, "inject", "two.http", "down", "--for", "5s", "--detach")
    assert code == 0, err
    assert not one.server.get_proxy("two.http").enabled
    (fault,) = json.loads(lab(one, "faults", "--json")[1])
    assert (fault["on"], fault["what"]) == ("two.http", "down")
    assert "chaos-guard" in fault["by"]
    wait_for(lambda: healed(one), what="the guard has healed it", within_s=15)


def test_edges_tells_what_is_on_them(one: Rig) -> None:
    """State and toxics, as JSON and as a table."""
    one.server.get_proxy("two.http").disable()
    one.server.get_proxy("three.http").add_toxic(type="latency", attributes={"latency": 7})
    seen = {edge["name"]: edge for edge in json.loads(lab(one, "edges", "--json")[1])}
    assert (seen["one.http"]["state"], seen["one.http"]["protocol"]) == ("open", "http")
    assert seen["two.http"]["state"] == "down"
    (toxic,) = seen["three.http"]["toxics"]
    assert toxic.startswith("latency(")
    assert "latency=7" in toxic
    assert "down" in lab(one, "edges")[1]
    assert lab(one, "heal", "--all")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["inject", "four.*", "down"], "no edge matches 'four.*'"),
        (["inject", "one.*", "lateny"], "No such command 'lateny'"),
        (["inject", "one.*", "latency"], "Missing option '--delay-ms'"),
        (["inject", "one.*", "latency", "--delay-ms", "-5"], "delay_ms is -5"),
        (["inject", "one.*", "down", "--for", "5"], "write it like 500ms, 30s or 2m"),
        (["inject", "redis", "kill"], "belong to whoever started it"),
    ],
)
def test_wrong_usage_exits_2_and_names_the_way_out(one: Rig, arguments: list[str], says: str) -> None:
    """Nothing is injected."""
    code, _, err = lab(one, *arguments)
    assert code == 2, err
    assert says in " ".join(err.split())
    assert one.is_clean()


@pytest.mark.parametrize("command", [["edges"], ["heal", "--all"], SLOW])
def test_a_foreign_toxiproxy_is_refused(one: Rig, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """Whichever command it is."""
    monkeypatch.setenv("TOXIPROXY_URL", "http://192.0.2.1:8474")
    code, _, err = lab(one, *command)
    assert code == 2
    assert "'192.0.2.1' in allow-hosts" in err


def test_no_platform_is_one_clear_error(tiny: Path, one: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to get one."""
    monkeypatch.setenv("TOXIPROXY_URL", "http://127.0.0.1:9")
    code, _, err = lab(one, *SLOW)
    assert code == 2
    assert "start a platform with 'chaos-lab up'" in err


def test_edge_names_are_completed(one: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And nothing is where there is no project."""
    monkeypatch.chdir(one.root)
    assert complete_targets("t") == ["two.http", "three.http"]
    monkeypatch.chdir(tmp_path)
    assert complete_targets("t") == []


def test_every_simple_fault_has_a_command() -> None:
    """Its options are its fields, with what its docstring says of each."""
    faults = fault_options.all_faults()
    assert {"down", "latency", "blackhole", "half-open", "reset-peer", "kill", "pause", "restart"} <= set(faults)
    assert "at-commit" not in faults
    delay, jitter, _ = fault_options.parameters(faults["latency"])
    assert (delay.name, delay.default, jitter.default) == ("delay_ms", delay.empty, 0)


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("2m", 120), ("1h", 3600), ("0.5s", 0.5)])
def test_durations_have_units(text: str, seconds: float) -> None:
    """Milliseconds, seconds, minutes, hours."""
    assert duration(text) == seconds
