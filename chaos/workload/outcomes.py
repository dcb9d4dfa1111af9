"""What a client may conclude from an answer, or from none.

The most common source of false alarms is an outcome that claims too much: only what certainly did
not happen is ``fail``. A time-out, a reset after sending and any 5xx leave it open (``info``).
"""

from __future__ import annotations

from typing import Final

import aiohttp

from chaos.history import Outcome

_OK: Final = range(200, 400)
_REJECTED: Final = range(400, 500)
_TIMEOUTS: Final = frozenset({408, 425, 429})


def from_status(status: int) -> Outcome:
    """Outcome of an answer with *status*.

    2xx and 3xx are ok. 4xx is an explicit rejection before any effect, but for 408, which says
    nothing about the effect. 5xx is unknown: whoever answered may not be who acted.
    """
    if status in _OK:
        return Outcome.OK
    return Outcome.FAIL if status in _REJECTED and status != 408 else Outcome.INFO  # noqa: PLR2004  (see above)


def from_error(error: BaseException) -> Outcome:
    """Outcome of a request that got no answer: ``fail`` only when it cannot have been sent."""
    return Outcome.FAIL if isinstance(error, aiohttp.ClientConnectorError) else Outcome.INFO


def worth_retrying(status: int | None) -> bool:
    """Whether a client would try again: no answer, 5xx, or an answer that says "later"."""
    return status is None or status >= 500 or status in _TIMEOUTS  # noqa: PLR2004  (server errors)
