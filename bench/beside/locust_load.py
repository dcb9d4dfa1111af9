"""Locust's FastHttpUser under the same load, as a locustfile; the variables RATE and SECONDS say how much.

Prints one JSON object: requests and CPU seconds from the end of the warm-up on.
"""

from __future__ import annotations

import json
import os
import time

import gevent
from locust import FastHttpUser, constant, constant_throughput, events, task
from locust.env import Environment

RATE, SECONDS, USERS = float(os.environ["RATE"]), float(os.environ["SECONDS"]), int(os.environ["LOCUST_USERS"])
WARM_UP_S = 1.0


class Reader(FastHttpUser):
    """Reads the same path again and again."""

    wait_time = constant_throughput(RATE / USERS) if RATE else constant(0)

    @task
    def read(self) -> None:
        """Send the request that the lab's driver sends."""
        self.client.get("/x", headers={"Authorization": "Bearer t"})


@events.init.add_listener
def keep(environment: Environment, **_: object) -> None:
    """Begin to measure once all users are there."""

    def measure(**_: object) -> None:
        gevent.spawn(_measure, environment)

    environment.events.spawning_complete.add_listener(measure)


def _measure(environment: Environment) -> None:
    total = environment.stats.total
    gevent.sleep(WARM_UP_S)
    began, cpu_s, requests = time.monotonic(), time.process_time(), total.num_requests
    gevent.sleep(SECONDS)
    cpu_s, requests = time.process_time() - cpu_s, total.num_requests - requests
    figures = {"requests": requests, "failed": total.num_failures, "per_cpu_s": requests / cpu_s}
    print(json.dumps(figures | {"per_s": requests / (time.monotonic() - began)}), flush=True)  # noqa: T201
    if environment.runner:
        environment.runner.quit()
