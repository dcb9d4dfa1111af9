"""The edges of one service, built from its profile and switches, and shown in its metrics."""

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

    def make(self, kind: str, edge: str, label: str | None = None) -> Edge:
        """Return the edge *edge* of a kind in `Profile.edges`, shown as *label*."""
        name = label or edge
        policy = edge_policy(self.common.profile, kind, edge, self.common.switches)
        made = Edge(name, policy, self._metrics.observer(name), time.monotonic, random.Random())  # noqa: S311
        self.all.append(made)
        return made
