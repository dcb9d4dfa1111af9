"""``chaos-lab up``: a platform that stays, and what other commands can do to its processes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chaos.clock import wait_for
from chaos.config import Address
from chaos.probes import Answer, probe
from chaos.proxies import Toxiproxy
from chaos.stacks import cache, ports
from tests.support import project

ROOT = Path(__file__).parent.parent.parent
FOR = ("--for", "200ms")

pytestmark = pytest.mark.integration


@dataclass(frozen=True, kw_only=True)
class Up:
    """A platform that runs: its project's folder, its process, and what it printed when it was ready."""

    root: Path
    process: subprocess.Popen[str]
    told: dict[str, Any]

    def lab(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        """Run another ``chaos-lab`` to its end: exit code, standard output, standard error."""
        command = command_in(self.root, *arguments, **more)
        out, err = command.communicate(timeout=60)
        return command.returncode, out, err

    def pid(self, process: str) -> int:
        """The process id that ``inject --dry-run`` tells."""
        code, out, err = self.lab("inject", process, "kill", "--dry-run", "--json")
        assert code == 0, err
        return next(sent["body"]["pid"] for sent in json.loads(out) if sent["method"] == "KILL")

    def answer(self, process: str) -> Answer:
        """What *process* says at its own door."""
        if process == "redis":
            return probe(Address.parse(self.told["stores"]["redis"]), "redis").answer
        return probe(Address.parse(self.told["services"][process]["http"]), "http").answer


def command_in(root: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """Start ``chaos-lab`` in the project *root*."""
    return subprocess.Popen(
        [sys.executable, "-m", "chaos", *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The tiny platform on ports that nobody else has."""
    block = ports.claim(cache.folder() / "ports", 4)
    toxiproxy, edge, web, redis = block.ports
    settings = project.PYPROJECT.replace("8080", str(web)).replace(
        "[tool.chaos-lab.redis]", f"[tool.chaos-lab.redis]\nport = {redis}"
    )
    settings = settings.replace('entry = "web"', f'entry = "web"\ntoxiproxy-port = {toxiproxy}')
    edges = [{"name": "web.redis", "listen": f"127.0.0.1:{edge}", "upstream": f"127.0.0.1:{redis}"}]
    root = project.make(tmp_path_factory.mktemp("up") / "project", pyproject=settings, edges=edges)
    process = command_in(root, "up", "--json")
    try:
        yield Up(root=root, process=process, told=json.loads(process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        block.release()
    assert not (root / ".chaos-lab" / "up.json").exists()


def test_up_tells_its_addresses_as_json_once_it_is_ready(one: Up) -> None:
    """Everything answers there."""
    told = one.told
    assert probe(Address.parse(told["url"].removeprefix("http://")), "http").answer is Answer.ANSWERED
    assert Toxiproxy(told["toxiproxy"]).running()
    assert {(name, probe(Address.parse(e["listen"]), "redis").answer) for name, e in told["edges"].items()} == {
        ("web.redis", Answer.ANSWERED)
    }
    assert told["edges"]["web.redis"]["upstream"] == told["stores"]["redis"]
    assert (one.answer("redis"), one.answer("web")) == (Answer.ANSWERED, Answer.ANSWERED)


@pytest.mark.parametrize("process", ["redis", "web"])
@pytest.mark.parametrize("fault", ["kill", "pause", "restart"])
def test_its_processes_can_be_hit_from_another_command(one: Up, process: str, fault: str) -> None:
    """The bite is measured, and the process does its work again: the same one, or another in its place."""
    before = one.pid(process)
    code, out, err = one.lab("inject", process, fault, *FOR, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert [(bite["on"], bite["bit"]) for bite in told["bites"]] == [(process, True)]
    assert one.answer(process) is Answer.ANSWERED
    assert (one.pid(process) == before) is (fault == "pause")


def test_a_dry_run_says_what_would_be_done_to_a_process(one: Up) -> None:
    """And does nothing."""
    before = one.pid("redis")
    said = {fault: one.lab("inject", "redis", *fault.split(), "--dry-run")[1] for fault in ("pause", "restart")}
    assert [line for line in said["pause"].splitlines() if "process:" in line] == [
        f'inject: PAUSE process:redis {{"pid": {before}}}',
        "heal: RESUME process:redis",
    ]
    assert "RESTART process:redis" in said["restart"]
    assert one.pid("redis") == before
    assert one.answer("redis") is Answer.ANSWERED


def test_a_process_that_is_killed_is_listed_and_started_when_its_killer_is_killed(one: Up) -> None:
    """By the guard, and before its time is over."""
    before = one.pid("web")
    killer = command_in(one.root, "inject", "web", "kill", "--for", "1h")
    wait_for(lambda: one.answer("web") is Answer.REFUSED, what="it is dead", within_s=20)
    (fault,) = json.loads(one.lab("faults", "--json")[1])
    assert (fault["on"], fault["what"]) == ("web", "killed")
    killer.kill()
    killer.communicate(timeout=10)
    wait_for(lambda: one.answer("web") is Answer.ANSWERED, what="the guard has started it", within_s=10)
    wait_for(lambda: json.loads(one.lab("faults", "--json")[1]) == [], what="nothing is owed", within_s=10)
    assert one.pid("web") != before


def test_the_processes_of_somebody_else_s_platform_cannot_be_hit(one: Up, server: Toxiproxy) -> None:
    """One that TOXIPROXY_URL names and another Toxiproxy has; the error says what is needed."""
    code, _, err = one.lab("inject", "redis", "kill", *FOR, TOXIPROXY_URL=server.url)
    assert code == 2
    assert "belong to whoever started it" in err
    assert "'chaos-lab up' of this project" in err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "cannot be read"),
        ('"supervisor":"/run/dbus/', "as its fork server, which lies in no folder of a lab"),
    ],
)
def test_what_up_says_of_itself_is_checked(one: Up, content: str, says: str) -> None:
    """Damaged, or naming what is no lab's, it is refused by its name."""
    path = one.root / ".chaos-lab" / "up.json"
    good = path.read_text()
    path.write_text(content if content == "{" else re.sub(r'"supervisor":"/[^"]*/', content, good))
    code, _, err = one.lab("inject", "redis", "pause", *FOR)
    path.write_text(good)
    assert code == 2
    assert f"{path}: " in err
    assert says in err


def test_a_platform_that_is_gone_is_not_hit(one: Up) -> None:
    """What it said of itself is left behind by a SIGKILL, and not believed."""
    path = one.root / ".chaos-lab" / "up.json"
    good = path.read_text()
    gone = json.loads(good)
    gone["lab"]["runner"]["started"] -= 1
    path.write_text(json.dumps(gone))
    code, _, err = one.lab("inject", "redis", "pause", *FOR)
    path.write_text(good)
    assert code == 2
    assert "belong to whoever started it" in err
