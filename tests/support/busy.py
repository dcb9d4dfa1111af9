"""A server with large replies and a client that goes away while they are on their way."""

import contextlib
import socket
import struct
import threading

from chaos.config import Address
from chaos.proxies import Proxy

CHUNK = b"x" * 200_000


class Server:
    """A TCP server on loopback that answers every message with *reply*."""

    def __init__(self, reply: bytes) -> None:
        """Listen; serve each connection on a thread of its own."""
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while connection.recv(4096):
                connection.sendall(self._reply)

    def close(self) -> None:
        """Stop accepting."""
        self._listener.close()


def connect(proxy: Proxy) -> socket.socket:
    """A connection through *proxy*."""
    address = Address.parse(proxy.listen)
    return socket.create_connection((address.host, address.port), timeout=2)


def leave_in_flight(proxy: Proxy) -> None:
    """Ask for 200 kB and go away while they are held back."""
    with connect(proxy) as connection:
        connection.sendall(b"ping")
        with contextlib.suppress(TimeoutError):
            connection.settimeout(0.1)
            connection.recv(1)
        reset(connection)


def reset(connection: socket.socket) -> None:
    """Close *connection* as a process that dies does, with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
