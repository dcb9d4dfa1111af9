"""Many threads that begin at the same moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

T = TypeVar("T")
THREADS: Final = 20
WITHIN_S: Final = 30.0


def together(work: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """Call ``work(number)`` in *threads* threads that wait for each other first; the results in that order."""
    return all_together([partial(work, number) for number in range(threads)])


def all_together(works: Sequence[Callable[[], T]]) -> list[T]:
    """Call each of *works* in a thread of its own, all at the same moment; the results in their order.

    Raises whatever the first of them raised.
    """
    barrier = threading.Barrier(len(works))

    def begin(work: Callable[[], T]) -> T:
        barrier.wait(WITHIN_S)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(WITHIN_S) for future in [pool.submit(begin, work) for work in works]]
