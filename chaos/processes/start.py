"""How the fork server starts a process: a program in a session of its own, or a fork that calls a function."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import traceback
from pathlib import Path
from subprocess import Popen

from chaos.processes.kernel import become_unprivileged, die_with_parent


def start_program(
    argv: list[str], env: dict[str, str], cwd: str, log: str, *, unprivileged: bool, end_signal: int
) -> int:
    """Start *argv* in its own session; the kernel sends it *end_signal* if this process dies."""
    parent = os.getpid()

    def prepare() -> None:
        if unprivileged:
            become_unprivileged()
        die_with_parent(parent, signal.Signals(end_signal))

    with Path(log).open("ab") as output, Path(os.devnull).open("rb") as nothing:
        process = Popen(  # noqa: S603  (argv comes from the lab's own stack)
            argv,
            env=env,
            cwd=cwd,
            stdin=nothing,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509  (this process has one thread)
        )
    process.returncode = 0  # reaped by reap(), not by Popen
    return process.pid


def start_function(target: str, name: str, env: dict[str, str], cwd: str, log: str) -> int:
    """Fork, and call the function ``module:name`` in the child."""
    parent = os.getpid()
    if pid := os.fork():
        return pid
    status = 1
    try:
        die_with_parent(parent)
        _become(name, env, cwd, log)
        module, _, function = target.partition(":")
        getattr(importlib.import_module(module), function)()
        status = 0
    except SystemExit as leave:
        status = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        if isinstance(leave.code, str):
            sys.stderr.write(f"{leave.code}\n")
    except BaseException:  # noqa: BLE001  (the child's last words go to its log)
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _become(name: str, env: dict[str, str], cwd: str, log: str) -> None:
    """Turn this fork into a process of its own: signals, descriptors, folder, environment."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, standard)
    for descriptor in [int(entry) for entry in os.listdir("/proc/self/fd")]:  # noqa: PTH208  (names are enough)
        if descriptor > 2:  # noqa: PLR2004  (the standard three stay)
            with contextlib.suppress(OSError):
                os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [name]
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name[:15], encoding="ascii")
