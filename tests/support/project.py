"""A project folder for the tiny platform, to run the lab without the reference platform."""

import json
from pathlib import Path

PYPROJECT = """
[tool.chaos-lab]
entry = "web"
protocols = {"*.redis" = "redis"}
[tool.chaos-lab.redis]
[tool.chaos-lab.services.web]
run = "tests.support.tiny.web:main"
ports = {http = 8080}
env = {PORT = "{service[web].ports[http]}", REDIS = "{edge[web.redis]}", REDIS_PASSWORD = "{redis.password}"}
"""

EDGES = [{"name": "web.redis", "listen": "127.0.0.1:11001", "upstream": "127.0.0.1:6379"}]

SCENARIOS = """
from itertools import repeat

from chaos import Answers, Blackhole, Down, DuringFaults, Experiment, OpenLoop, Recovers, Request, Succeeds, Window


def counting(lab):
    return repeat(Request(operation="count", path="/x"))


LOAD = (OpenLoop(plan=counting, rate=40),)

refused = Experiment(
    id="T-1", title="Redis refuses", hypothesis="every request is answered with 503 meanwhile",
    workloads=LOAD, faults=(Window(fault=Down(), on="web.redis", duration_s=0.6),),
    checkers=(
        Answers(operation="count", statuses={503}, during=DuringFaults(0.1)),
        Recovers(operation="count", within_s=1),
    ),
    mutations=(), steady_s=0.4, recovery_s=1.3, self_check=True,
)
optimistic = Experiment(
    id="T-2", title="Redis refuses, and nobody may notice", hypothesis="all requests succeed",
    workloads=LOAD, faults=(Window(fault=Down(), on="web.redis", duration_s=0.6),),
    checkers=(Succeeds(operation="count", at_least=1.0, during=DuringFaults(0.1)),),
    mutations=(), steady_s=0.4, recovery_s=1.3,
)
"""


def make(folder: Path, *, pyproject: str = PYPROJECT, edges: object = EDGES, scenarios: str = SCENARIOS) -> Path:
    """Write a project into *folder* and return it."""
    (folder / "scenarios").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "toxiproxy.json").write_text(edges if isinstance(edges, str) else json.dumps(edges))
    (folder / "scenarios" / "__init__.py").write_text("")
    (folder / "scenarios" / "redis_cache.py").write_text(scenarios)
    return folder
