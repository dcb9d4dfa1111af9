"""How fast each operation was when it was last recorded: ``python -m tests.integration.baseline record``.

What is recorded is how many exchanges with an echo server in another process an operation takes, besides the commits
that it waits for. Exchanges and syncs of the disk are measured anew between the samples, so that another machine is
expected to be faster or slower by as much as it is. Of samples, exchanges and syncs the fastest tenth counts: a busy
machine moves their medians up to sixfold (measured at a load of six for each processor), and these less.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import redis
import requests

from services.client import ApiGatewayClient, WidgetCoreClient, new_key
from tests.integration.support import stack
from tests.integration.support.patience import made
from tests.integration.support.performance import percentile

HERE: Final = Path(__file__).parent
FILE: Final = HERE / "baseline.json"
USAGE: Final = "usage: python -m tests.integration.baseline record"

WARM_UP: Final = 5
SAMPLES: Final = 30
ROUNDS: Final = 3
FACTOR: Final = 3.0
"""How much slower than expected is a regression.

In other recordings, on two cores with a load of eight to twelve, nothing took more than 1.8 times what was expected.
Three leaves room for a worse day; what makes an operation less than three times slower, or only some requests of
it, is not seen by this: for nine requests of ten there is the target.
"""

UNDISTURBED: Final = 0.1
EXCHANGES: Final = 20
PAGE: Final = bytes(8192)

COMMITS: Final = {
    "Widget Creation": 2,
    "Widget Update": 1,
    "Widget Delete": 1,
    "Bulk Operations (100x)": 1,
    "Login": 1,
    "Token Refresh": 1,
}
"""How many commits an operation waits for, one after the other; none when it is not listed."""

_ECHO: Final = """
import hashlib, json, socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
lines = connection.makefile("rwb")
for line in lines:
    document = json.loads(line)
    document["seen"] = hashlib.sha256(line).hexdigest()
    lines.write(json.dumps(document).encode() + b"\\n")
    lines.flush()
"""
_DOCUMENT: Final = {"name": "left gauge", "payload": {str(number): [number, "ü"] for number in range(20)}}

Operation = Callable[[], requests.Response]


class Calibration:
    """Fixed amounts of what requests consist of: work with another process, and syncs of the disk."""

    def __init__(self, connection: socket.socket, file: BinaryIO) -> None:
        self._lines = connection.makefile("rwb")
        self._file = file

    def exchange(self) -> float:
        """JSON, hashing, to another process and back, EXCHANGES times; the seconds it took."""
        began = time.perf_counter()
        for _ in range(EXCHANGES):
            self._lines.write(json.dumps(_DOCUMENT).encode() + b"\n")
            self._lines.flush()
            hashlib.sha256(json.dumps(json.loads(self._lines.readline())).encode())
        return time.perf_counter() - began

    def sync(self) -> float:
        """A page on the disk, as for a commit; the seconds it took."""
        began = time.perf_counter()
        self._file.write(PAGE)
        self._file.flush()
        os.fdatasync(self._file.fileno())
        return time.perf_counter() - began


@contextmanager
def calibration() -> Iterator[Calibration]:
    """The echo server and the file, for the length of the block; the file is where embedded stores have theirs."""
    with (
        subprocess.Popen([sys.executable, "-c", _ECHO], stdout=subprocess.PIPE, text=True) as process,
        tempfile.TemporaryFile() as file,
    ):
        try:
            assert process.stdout
            with socket.create_connection(("127.0.0.1", int(process.stdout.readline())), timeout=10) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield Calibration(connection, file)
        finally:
            process.kill()


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Seconds of each sample of an operation that waits for *commits*, and of the calibrations between them."""

    commits: int = 0
    samples: list[float] = field(default_factory=list)
    exchanges: list[float] = field(default_factory=list)
    syncs: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """How many calibrations the operation takes besides its commits, when nobody is in its way."""
        sample, exchange, sync = self._undisturbed()
        return max(sample - self.commits * sync, 0.0) / exchange

    def slower_than(self, recorded: float) -> float:
        """How many times longer it takes than an operation of that *recorded* cost is expected to take here."""
        sample, exchange, sync = self._undisturbed()
        return sample / (recorded * exchange + self.commits * sync)

    def _undisturbed(self) -> tuple[float, ...]:
        return tuple(percentile(of, UNDISTURBED) for of in (self.samples, self.exchanges, self.syncs))


def measure(operation: Operation, calibrate: Calibration, *, commits: int = 0, samples: int = SAMPLES) -> Measured:
    """Warm up, and take *samples* of *operation*, each after a calibration; every answer must be a success."""
    found = Measured(commits=commits)
    for number in range(-WARM_UP, samples):
        exchange, sync = calibrate.exchange(), calibrate.sync()
        began = time.perf_counter()
        answer = operation()
        took = time.perf_counter() - began
        assert answer.ok, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
        if number >= 0:
            found.samples.append(took)
            found.exchanges.append(exchange)
            found.syncs.append(sync)
    return found


def recorded() -> Mapping[str, float]:
    """The cost of each operation, as it was recorded."""
    found: dict[str, float] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def is_regression(times: float) -> bool:
    """Whether that many times longer than expected is so much that the machine cannot be the reason."""
    return times > FACTOR


def operations(
    client: ApiGatewayClient, widget_core: WidgetCoreClient, user: Mapping[str, str], redis_client: redis.Redis
) -> Mapping[str, Operation]:
    """What is measured, by its name in the table of targets; each call is one request, through the gateway.

    Only an ORB call is asked of Widget Core itself.
    """
    widget = {"name": "measured", "description": "x" * 100, "payload": {"limits": [0, 10]}}

    one: str = made(client, widget)["id"]
    doomed: list[str] = []
    refreshed = [client.login(user).json()["refresh_token"]]

    def delete() -> requests.Response:
        if not doomed:  # at the first warm-up of a round
            made = client.create_widgets([widget] * (WARM_UP + SAMPLES), key=new_key())
            doomed.extend(found["id"] for found in made.json()["widgets"])
        return client.delete_widget(doomed.pop(), key=new_key())

    def uncached() -> requests.Response:
        redis_client.delete(f"widget:{one}")
        return client.get_widget(one)

    def renew() -> requests.Response:
        answer = client.refresh(refreshed[0])
        refreshed[0] = answer.json().get("refresh_token")
        return answer

    return {
        "Widget Creation": lambda: client.create_widget(widget, key=new_key()),
        "Widget Update": lambda: client.update_widget(one, {"description": new_key()}, key=new_key()),
        "Widget Delete": delete,
        "ORB Call": lambda: widget_core.get_native(one),
        "Bulk Operations (100x)": lambda: client.create_widgets([widget] * 100, key=new_key()),
        "Widget List": lambda: client.list_widgets(limit=50),
        "Cached Read": lambda: client.get_widget(one),
        "Uncached Read": uncached,
        "Login": lambda: client.login(user),
        "Token Refresh": renew,
        "Health": client.health,
        "Metrics": client.metrics,
    }


def main() -> None:
    """Measure every operation on a fresh platform, and write the file: the slowest of ROUNDS counts."""
    if sys.argv[1:] != ["record"]:
        sys.exit(f"{USAGE}\n(got {sys.argv[1:]})")
    from chaos import config  # noqa: PLC0415 - only the recorder starts a platform itself
    from chaos.processes.supervisor import Supervisor  # noqa: PLC0415

    root = HERE.parent.parent
    user = {"email": f"{new_key()}@example.org", "password": "correct horse battery"}
    with (
        Supervisor.start(root) as supervisor,
        stack.own(config.load(root), supervisor, {}) as platform,
        platform.open_redis() as redis_client,
        calibration() as calibrate,
    ):
        nobody = ApiGatewayClient(platform.gateway)
        nobody.register_user(user).raise_for_status()
        client = nobody.with_token(nobody.login(user).json()["access_token"])
        todo = operations(client, WidgetCoreClient(platform.widget_core, token=client.token), user, redis_client)
        rounds = [
            {name: measure(todo[name], calibrate, commits=COMMITS.get(name, 0)).cost for name in todo}
            for _ in range(ROUNDS)
        ]
        costs = {name: round(max(one[name] for one in rounds), 2) for name in todo}
    FILE.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{json.dumps(costs, indent=1)}\n")


if __name__ == "__main__":
    main()
