"""Native memory: each object in an anonymous mapping of its own, wiped before it is released.

What is out of reach, and not claimed: the ORB's transport buffers, and the copies that
Python makes of a payload on its way in.
"""

import contextlib
import ctypes
import mmap
import threading
from dataclasses import dataclass, field

_libc = ctypes.CDLL(None, use_errno=True)
_PAGE = mmap.PAGESIZE
_ZEROS = bytes(_PAGE)
_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


@dataclass(kw_only=True, slots=True)
class Counters:
    """What happened to native memory so far. `allocations - deallocations = live_objects`."""

    allocations: int = 0
    deallocations: int = 0
    critical_deallocations: int = 0
    zeroized: int = 0
    zeroize_failures: int = 0
    lock_refusals: int = 0
    live_objects: int = 0
    live_bytes: int = 0


@dataclass(kw_only=True, slots=True, eq=False)
class Block:
    """The bytes of one native object; `size` of them are its payload."""

    mapping: mmap.mmap
    size: int
    critical: bool

    @property
    def payload(self) -> bytes:
        """Return a copy of the payload."""
        return self.mapping[: self.size]

    @property
    def capacity(self) -> int:
        """Return the size of the mapping."""
        return len(self.mapping)


@dataclass(kw_only=True, slots=True)
class NativeMemory:
    """Allocate and release blocks; the counters move nowhere else. Safe for threads."""

    zeroize: bool = True
    counters: Counters = field(default_factory=Counters)
    _unclean: list[Block] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allocate(self, payload: bytes, *, critical: bool) -> Block:
        """Return a block that holds *payload*; critical ones stay out of swap and core dumps."""
        capacity = max(1, -(-len(payload) // _PAGE)) * _PAGE
        mapping = mmap.mmap(-1, capacity, flags=_PRIVATE)
        locked = not critical or _protect(mapping)
        mapping[: len(payload)] = payload
        with self._lock:
            self.counters.allocations += 1
            self.counters.live_objects += 1
            self.counters.live_bytes += capacity
            self.counters.lock_refusals += not locked
        return Block(mapping=mapping, size=len(payload), critical=critical)

    def release(self, block: Block) -> None:
        """Wipe a critical block, read back that every byte is zero, unmap it, and count.

        A block that would not turn zero is kept mapped, and live: it is never counted as
        deallocated, let alone as zeroized.
        """
        wiped = block.critical and self.zeroize
        clean = _wipe(block.mapping) if wiped else True
        capacity = block.capacity
        if clean:
            block.mapping.close()
        with self._lock:
            self._count(block, capacity, clean=clean, wiped=wiped)

    def _count(self, block: Block, capacity: int, *, clean: bool, wiped: bool) -> None:
        counters = self.counters
        if not clean:
            self._unclean.append(block)  # or it would be unmapped, unwiped, once nobody knows it
            counters.zeroize_failures += 1
            return
        counters.deallocations += 1
        counters.critical_deallocations += block.critical
        counters.zeroized += wiped
        counters.live_objects -= 1
        counters.live_bytes -= capacity


def _protect(mapping: mmap.mmap) -> bool:
    """Keep the pages in memory and out of core dumps; tell whether locking was allowed."""
    with contextlib.suppress(OSError):
        mapping.madvise(mmap.MADV_DONTDUMP)
    window = (ctypes.c_char * len(mapping)).from_buffer(mapping)
    return bool(_libc.mlock(ctypes.byref(window), ctypes.c_size_t(len(mapping))) == 0)


def _wipe(mapping: mmap.mmap) -> bool:
    """Overwrite every byte, then read each page back and compare it with zeros."""
    window = (ctypes.c_char * len(mapping)).from_buffer(mapping)
    start = ctypes.addressof(window)
    ctypes.memset(start, 0, len(mapping))
    pages = range(start, start + len(mapping), _PAGE)
    return all(_libc.memcmp(ctypes.c_void_p(page), _ZEROS, ctypes.c_size_t(_PAGE)) == 0 for page in pages)
