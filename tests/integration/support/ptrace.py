"""Threads of another process, halted by the kernel at the beginning and the end of each system call.

As strace does it, with the part of ptrace(2) that is the same on every machine (PTRACE_SEIZE, and
PTRACE_GET_SYSCALL_INFO since Linux 5.3). Everything here must be called by one and the same thread.
"""

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SEIZE, _INTERRUPT, _LISTEN, _SYSCALL, _DETACH, _INFO = 0x4206, 0x4207, 0x4208, 24, 17, 0x420E
_SYSCALL_STOPS, _NEW_THREADS = 0x1, 0x8  # PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACECLONE
_EVENT_STOP: Final = 128
_ENTRY: Final = 1
_OF_THIS_THREAD: Final = 0x20000000 | 0x40000000  # __WNOTHREAD: nobody else's children; __WALL: threads too
_AT_SYSCALL: Final = signal.SIGTRAP | 0x80
_STOPS: Final = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


class _Info(ctypes.Structure):
    """What ``struct ptrace_syscall_info`` says at the beginning of a call."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
        ("room", ctypes.c_uint64),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A system call that has not begun yet."""

    number: int
    arguments: tuple[int, ...]


class Tracer:
    """All threads of one process, those too that begin later; they run on when it is closed.

    Args:
        pid: the process.
        at_call: is told of each call of any thread while that thread is halted.

    Raises:
        PermissionError: this system does not let us.
    """

    def __init__(self, pid: int, at_call: Callable[[Call], None]) -> None:
        self._pid = pid
        self._at_call = at_call
        self._threads: set[int] = set()
        while new := self._not_seized():  # a thread that begins meanwhile is followed, or seen at the next look
            for thread in new:
                self._seize(thread)

    def run(self) -> None:
        """Let every halted thread go on, to its next halt; return when none is halted."""
        with suppress(ChildProcessError):  # it has ended
            while (halted := os.waitpid(-1, _OF_THIS_THREAD | os.WNOHANG)) != (0, 0):
                self._go_on(*halted)

    def close(self) -> None:
        """Let go of every thread."""
        for thread in self._threads.copy():
            _unless_gone(_INTERRUPT, thread)
        with suppress(ChildProcessError):  # it has ended
            while self._threads:
                thread, status = os.waitpid(-1, _OF_THIS_THREAD)
                self._threads.discard(thread)
                if os.WIFSTOPPED(status):
                    _unless_gone(_DETACH, thread, data=_to_deliver(status))

    def _not_seized(self) -> set[int]:
        return {int(task.name) for task in Path(f"/proc/{self._pid}/task").iterdir()} - self._threads

    def _seize(self, thread: int) -> None:
        try:
            _ptrace(_SEIZE, thread, data=_SYSCALL_STOPS | _NEW_THREADS)
            _ptrace(_INTERRUPT, thread)
        except ProcessLookupError:
            return
        except PermissionError:
            if not self._threads:
                raise
            # Begun by a thread that is followed already: it is ours, and will report by itself.
        self._threads.add(thread)

    def _go_on(self, thread: int, status: int) -> None:
        if not os.WIFSTOPPED(status):
            self._threads.discard(thread)
            return
        self._threads.add(thread)
        if os.WSTOPSIG(status) == _AT_SYSCALL:
            self._look(thread)
        stopped = status >> 16 == _EVENT_STOP and os.WSTOPSIG(status) in _STOPS
        _unless_gone(_LISTEN if stopped else _SYSCALL, thread, data=_to_deliver(status))

    def _look(self, thread: int) -> None:
        info = _Info()
        size = ctypes.sizeof(info)
        _ptrace(_INFO, thread, address=size, data=ctypes.addressof(info))
        if info.op == _ENTRY:
            self._at_call(Call(number=info.number, arguments=tuple(info.arguments)))


def _to_deliver(status: int) -> int:
    """The signal that a thread was halted for, which it is to get now; 0 for every other reason."""
    found = os.WSTOPSIG(status)
    return 0 if found == _AT_SYSCALL or status >> 16 else found


def _unless_gone(request: int, thread: int, data: int = 0) -> None:
    with suppress(ProcessLookupError):
        _ptrace(request, thread, data=data)


def _ptrace(request: int, thread: int, *, address: int = 0, data: int = 0) -> None:
    if _libc.ptrace(request, thread, address, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
