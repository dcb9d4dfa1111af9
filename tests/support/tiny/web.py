"""One HTTP service in front of Redis: counts, and answers 503 when Redis does not."""

import http.server
import os
import socket
import sys
import time

import redis


class Handler(http.server.BaseHTTPRequestHandler):
    """Answer every path from Redis, but the health check without it."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self) -> None:
        if self.path.startswith("/health"):
            self._reply(200, b'{"status": "ok"}')
        elif self.path == "/metrics":
            self._reply(200, b"tiny_up 1\n")
        else:
            try:
                self._reply(200, str(self.server.store.incr(self.path)).encode())
            except redis.RedisError:
                self._reply(503, b"{}")

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def main() -> None:
    """Serve until SIGTERM."""
    if os.environ.get("TINY_BROKEN"):
        sys.exit("TINY_BROKEN is set")
    time.sleep(float(os.environ.get("TINY_SLOW_S", "0")))  # as one that has much to load
    host, port = os.environ["REDIS"].split(":")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.store = redis.Redis(
        host=host,
        port=int(port),
        password=os.environ["REDIS_PASSWORD"],
        socket_timeout=0.2,
        socket_connect_timeout=0.2,
        retry=None,
    )
    server.serve_forever()
