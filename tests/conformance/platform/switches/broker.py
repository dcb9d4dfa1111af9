"""What ends a call to an ORB Core that falls silent: Widget Core's own driver, in a process of its own.

The ORB takes its limits once for each process, so a check cannot share one with another.
"""

import itertools
import math
import signal
import socket

from tests.conformance.platform.stores import wait_until
from tests.conformance.platform.switches.world import World

CUT_S = 1.0
_numbers = itertools.count()


def attempt_timeout(world: World, name: str) -> bool:
    """An attempt has its own time."""
    return _given_up(world, attempt_s=0.1, total_s=0.3)


def deadline(world: World, name: str) -> bool:
    """The total time ends a call whose first attempt would have much longer."""
    return _given_up(world, attempt_s=10.0, total_s=0.1)


def deadline_propagate(world: World, name: str) -> bool:
    """The tenth of a second that the caller has left ends a call that would have much longer."""
    return _given_up(world, attempt_s=10.0, total_s=10.0, left_s=0.1)


def _given_up(world: World, *, left_s: float = math.inf, **times: float) -> bool:
    """Tell whether a call to a server that takes connections and never speaks ends soon, with these times."""
    begun = world.folder / f"call-{next(_numbers)}"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = {"LEFT_S": left_s} | {name.upper(): value for name, value in times.items()}
        env = {name: str(value) for name, value in told.items()}
        where = {"ORB_CORE_IIOP": f"127.0.0.1:{silent.getsockname()[1]}", "CALL_BEGUN": str(begun)}
        process = world.spawn("orb_call", **env, **where)
        wait_until(begun.exists, 15)
        try:
            wait_until(lambda: process.status() is not None, world.patience_s(CUT_S))
        except AssertionError:
            process.stop(signal.SIGKILL)
            return False
    assert process.status() == 0, process.last_words()
    return True


ORB = {"attempt_timeout": attempt_timeout, "deadline": deadline, "deadline.propagate": deadline_propagate}
