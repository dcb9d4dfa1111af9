"""One SQL statement on a lab's Postgres, past every proxy, that cannot hang."""

from __future__ import annotations

import select
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from chaos.clock import NS_PER_S, now_ns, seconds
from chaos.config import Address
from chaos.errors import LabError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812  (a class with a small name)

WITHIN_S: Final = 3.0
"""A server that is paused would be waited for for ever: no limit that the server keeps helps there."""

LIMITS: Final = "-c statement_timeout=2000 -c lock_timeout=1000"
"""What the server keeps, so that nothing is left waiting there either."""


def execute(address: Address, login: Mapping[str, str], statement: str, within_s: float = WITHIN_S) -> None:
    """Run *statement*, each part of it committed at once; raises LabError, after *within_s* at the latest.

    Args:
        login: dbname, user and password.
    """
    import psycopg2  # noqa: PLC0415  (hardly ever needed)

    where: dict[str, Any] = {"host": address.host, "port": address.port, "options": LIMITS, **login}
    deadline_ns = now_ns() + int(within_s * NS_PER_S)
    try:
        with closing(psycopg2.connect(**where, async_=True)) as connection:
            _wait(connection, deadline_ns)
            cursor = connection.cursor()
            cursor.execute(statement)
            _wait(connection, deadline_ns)
    except (psycopg2.Error, TimeoutError) as error:
        msg = f"{statement} on {address}: {str(error).strip()}"
        raise LabError(msg) from error


def _wait(connection: Connection, deadline_ns: int) -> None:
    """Let libpq do its work; raises TimeoutError."""
    from psycopg2 import extensions  # noqa: PLC0415  (hardly ever needed)

    while (state := connection.poll()) != extensions.POLL_OK:
        reads = [connection] if state == extensions.POLL_READ else []
        writes = [] if reads else [connection]
        left_s = seconds(deadline_ns - now_ns())
        if left_s <= 0 or not any(select.select(reads, writes, [], left_s)):
            msg = "no answer in time"
            raise TimeoutError(msg)
