"""Import the services once, then fork one for each line `{"name": ..., "env": {...}}` on stdin.

Answers with the pid. When stdin ends, so do the children.
"""

import importlib
import json
import os
import signal
import sys

NAMES = ("gateway", "widget_core", "orb_core", "security")


def main() -> None:
    """Serve until stdin ends."""
    mains = {name: importlib.import_module(f"services.{name}.main").main for name in NAMES}
    children = []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.environ.clear()
            os.environ.update(order["env"])
            mains[order["name"]]()
            os._exit(0)
        children.append(pid)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in children:
        _end(pid)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


if __name__ == "__main__":
    main()
