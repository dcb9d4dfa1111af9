"""Toxiproxy's control plane: toxiproxy-python's classes on a transport that cannot hang or lie.

The package toxiproxy-python has no timeouts, keeps its address in a class attribute, turns a 5xx
into ``KeyError`` and does not notice a change that the server ignored. Its names are kept
(``get_proxy``, ``add_toxic``, ``destroy_toxic``, ``down``) and everything below them is replaced:
one session per server, a deadline on each call, PATCH for updates, every change read back, typed
errors. No other module imports it.
"""

from chaos.proxies.proxy import ATTRIBUTES as ATTRIBUTES
from chaos.proxies.proxy import HOLD_DATA as HOLD_DATA
from chaos.proxies.proxy import Proxy as Proxy
from chaos.proxies.proxy import Stream as Stream
from chaos.proxies.proxy import Toxic as Toxic
from chaos.proxies.server import Toxiproxy as Toxiproxy
from chaos.proxies.transport import Transport as Transport
