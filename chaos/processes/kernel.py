"""The two promises of the Linux kernel that the lab leans on, through ``prctl`` and ``unshare``."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_CLONE_NEWUSER: Final = 0x10000000
_NOBODY: Final = 65534

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, sig: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send *sig* to this process when the thread that started it is gone.

    Args:
        parent: process id of the parent, to notice one that died before this call.
        sig: the signal to receive.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), sig)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent dies, so that none can slip away."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_refused_by_postgres() -> bool:
    """Whether Postgres would not run as us: as root, or as a user whom the machine does not know."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_uid == 0
    except KeyError:
        return True


def become_unprivileged() -> None:
    """Enter a user namespace in which this process is an ordinary known user, and files keep their owner.

    Inside the namespace we appear as "nobody", or as whatever account but root there is.

    Raises:
        OSError: the kernel or container refuses new user namespaces.
    """
    uid, gid, user = os.geteuid(), os.getegid(), ordinary_user()
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no user namespace to be had: {os.strerror(number)}")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{user} {gid} 1", encoding="ascii")


def ordinary_user() -> int:
    """The id of an account that every tool knows and that is not root: "nobody", or another."""
    accounts = {account.pw_name: account.pw_uid for account in pwd.getpwall() if account.pw_uid}
    return accounts.get("nobody") or next(iter(accounts.values()), _NOBODY)
