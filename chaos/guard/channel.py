"""Lines of JSON between a runner and its guard, over a pair of sockets."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Mapping
from typing import Any, Final

SEND_WITHIN_S: Final = 2.0
"""What is sent is small, and the other end always reads: only one that is frozen lets its buffer fill."""

INHERITED: Final = 0
"""What a guard acknowledges in the place of an undo's number when it has taken a lab over."""


class Channel:
    """One end."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(SEND_WITHIN_S)
        self._connection = connection
        self._buffer = b""

    def fileno(self) -> int:
        """The descriptor, to wait for several."""
        return self._connection.fileno()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send *message*; raises OSError when the other end is gone, or does not read."""
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, within_s: float) -> list[dict[str, Any]]:
        """The messages that are there, or come within *within_s*.

        Raises:
            EOFError: the other end is gone, or speaks no JSON: it was given up in the middle of a message.
        """
        if not select.select([self._connection], [], [], max(0.0, within_s))[0]:
            return []
        try:
            data = self._connection.recv(1 << 20)
        except ConnectionError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        try:
            messages = [json.loads(line) for line in lines]
        except (ValueError, RecursionError) as error:
            raise EOFError from error
        if not all(isinstance(message, dict) for message in messages):
            raise EOFError
        return messages

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
