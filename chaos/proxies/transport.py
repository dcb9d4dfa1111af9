"""HTTP to Toxiproxy that cannot hang, and JSON that is looked at before it is believed."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any, Final

import requests
import urllib3.connection

from chaos.clock import NS_PER_S, now_ns
from chaos.errors import NotHeldError, ProxyError, ProxyTimeoutError

CALL_WITHIN_S: Final = 2.0


class _Budgeted(socket.socket):
    """A socket whose time-out is for everything that is read, not for each piece of it."""

    _until = float("inf")

    def settimeout(self, value: float | None) -> None:
        super().settimeout(value)
        self._until = time.monotonic() + (value or 0.0)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401  (the socket module's)
        if (left_s := self._until - time.monotonic()) <= 0:
            raise TimeoutError
        super().settimeout(left_s)
        return super().recv_into(*args, **kwargs)


class _Connection(urllib3.connection.HTTPConnection):
    """A connection that a server cannot keep waiting by answering one byte at a time."""

    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        timeout = plain.gettimeout()
        budgeted = _Budgeted(plain.family, plain.type, plain.proto, fileno=plain.detach())
        budgeted.settimeout(timeout)
        return budgeted


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _Punctual(requests.adapters.HTTPAdapter):
    """HTTP over connections with a budget of time for each answer."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (requests')
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool}


class Transport:
    """HTTP to one Toxiproxy server, each call with a deadline.

    Args:
        url: such as ``http://127.0.0.1:8474``.
        within_s: seconds that one call may take.

    Attributes:
        relaxed_ns: by path, when a toxic was told to take hold of nobody.
    """

    def __init__(self, url: str, within_s: float = CALL_WITHIN_S) -> None:
        self.url = url.rstrip("/")
        self.within_s = within_s
        self.relaxed_ns: dict[str, int] = {}
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", _Punctual())

    def call(self, method: str, path: str, body: object = None, within_s: float | None = None) -> Any:  # noqa: ANN401  (JSON)
        """Send one request and return the decoded answer, None when it has no body.

        Raises:
            ProxyTimeoutError: no whole answer within the deadline.
            NotHeldError: no such proxy or toxic.
            ProxyError: not reachable, an error status, or an answer that is not JSON.
        """
        what = f"{method} {self.url}{path}"
        within_s = min(within_s or self.within_s, self.within_s)
        deadline_ns = now_ns() + int(within_s * NS_PER_S)
        try:
            response = self._session.request(
                method, self.url + path, json=body, timeout=within_s, allow_redirects=False
            )
        except (requests.RequestException, ValueError) as error:
            if isinstance(error, requests.Timeout) or now_ns() >= deadline_ns:
                msg = f"{what}: no answer within {within_s:g} s"
                raise ProxyTimeoutError(msg) from error
            msg = f"{what}: {error}"
            raise ProxyError(msg) from error
        if not response.ok:
            msg = f"{what}: {response.status_code} {response.text.strip()[:200]!r}"
            raise (NotHeldError if response.status_code == requests.codes.not_found else ProxyError)(msg)
        return _decoded(response, what)

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()


def _decoded(response: requests.Response, what: str) -> Any:  # noqa: ANN401  (JSON)
    if not response.content:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        msg = f"{what}: answered {response.text[:100]!r}, which is not JSON"
        raise ProxyError(msg) from error


def field(value: Any, key: str, who: str) -> Any:  # noqa: ANN401  (JSON)
    """The field *key* of the object *value*; raises ProxyError, naming *who* answered."""
    if not isinstance(value, dict) or key not in value:
        msg = f"{who}: expected an object with {key!r}, got {value!r:.200}"
        raise ProxyError(msg)
    return value[key]


def fields(value: Any, kinds: Mapping[str, type | tuple[type, ...]], who: str) -> dict[str, Any]:  # noqa: ANN401  (JSON)
    """The fields of *value* that *kinds* names, each of its kind."""
    found = {key: field(value, key, who) for key in kinds}
    wrong = [f"{key} {found[key]!r:.50}" for key, kind in kinds.items() if not isinstance(found[key], kind)]
    if wrong:
        msg = f"{who}: does not answer like Toxiproxy: {', '.join(wrong)}"
        raise ProxyError(msg)
    return found
