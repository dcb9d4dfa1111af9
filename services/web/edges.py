"""The edges of one service, built from its profile and switches, and shown in its metrics."""

import math
import random
import time

from services.profiles import edge_policy
from services.resilience import Edge
from services.web.environment import Common
from services.web.metrics import Metrics


class Edges:
    """Build edges and keep a list of them."""

    def __init__(self, common: Common, metrics: Metrics) -> None:
        """Build for the service that *common* describes."""
        self.common = common
        self.all: list[Edge] = []
        self._metrics = metrics

    def make(self, kind: str, edge: str, label: str | None = None, *, max_open_s: float = math.inf) -> Edge:
        """Return the edge *edge* of a kind in `Profile.edges`, shown as *label*; *max_open_s* is for `edge_policy`."""
        name = label or edge
        policy = edge_policy(self.common.profile, kind, edge, self.common.switches, max_open_s)
        made = Edge(name, policy, self._metrics.observer(name), time.monotonic, random.Random())  # noqa: S311
        self.all.append(made)
        return made

    def for_rounds(self, kind: str, edge: str, round_s: float, label: str | None = None) -> Edge:
        """Return *edge* as work that is done every *round_s* seconds uses it: no round after an outage is refused.

        So rare a call spares the dependency by itself; what a longer pause would save it, whoever
        needs the rounds would pay for.
        """
        return self.make(kind, edge, label, max_open_s=round_s / 2)
