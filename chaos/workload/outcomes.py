"""What a client may conclude from an answer, or from none.

The most common source of false alarms is an outcome that claims too much: only what certainly did
not happen is ``fail``. A time-out, a reset after sending and any 5xx leave it open (``info``).
"""

from __future__ import annotations

from typing import Final

import aiohttp

from chaos.history import Outcome

_OK: Final = range(200, 300)
_DONE: Final = frozenset({303, 304})
_REFUSED: Final = range(300, 500)
_TIMEOUT: Final = 408
_LATER: Final = frozenset({_TIMEOUT, 425, 429})


def from_status(status: int) -> Outcome:
    """Outcome of an answer with *status*.

    2xx is ok, and so are 303 (done, look there) and 304 (as you know it). Other redirects and 4xx
    are explicit rejections before any effect, but for 408, which says nothing about the effect.
    5xx is unknown: whoever answered may not be who acted.
    """
    if status in _OK or status in _DONE:
        return Outcome.OK
    return Outcome.FAIL if status in _REFUSED and status != _TIMEOUT else Outcome.INFO


def from_error(error: BaseException) -> Outcome:
    """Outcome of a request that got no answer: ``fail`` only when it cannot have been sent.

    Refused and unknown names never left. A time-out, even of the connection, a broken connection
    and a cancelled call leave it open.
    """
    return Outcome.FAIL if isinstance(error, aiohttp.ClientConnectorError) else Outcome.INFO


def over_all(attempts: list[Outcome]) -> Outcome:
    """Outcome of an operation from those of its *attempts*, all with the same idempotency key.

    The last one decides, but for a refusal now, which says nothing about an earlier attempt that
    may have acted.
    """
    last = attempts[-1]
    return Outcome.INFO if last is Outcome.FAIL and Outcome.INFO in attempts else last


def worth_retrying(status: int | None) -> bool:
    """Whether a client would try again: no answer, 5xx, or an answer that says "later"."""
    return status is None or status >= 500 or status in _LATER  # noqa: PLR2004  (server errors)
