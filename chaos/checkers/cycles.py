"""Cycles in a graph of transactions: strongly connected components and shortest ways."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Edge:
    """*before* comes before *after*, because of *kind*, as *says* tells."""

    before: int
    after: int
    kind: str
    says: str = ""


@dataclass(kw_only=True, slots=True)
class Graph:
    """Edges by where they start."""

    edges: dict[int, list[Edge]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, edges: Iterable[Edge], kinds: Collection[str], nodes: Collection[int] | None = None) -> Graph:
        """The graph of those *edges* that are of *kinds* and between *nodes*."""
        graph = cls()
        for edge in edges:
            inside = nodes is None or (edge.before in nodes and edge.after in nodes)
            if edge.kind in kinds and inside and edge.before != edge.after:
                graph.edges[edge.before].append(edge)
        return graph

    def way(self, start: int, goal: int) -> list[Edge] | None:
        """A shortest way from *start* to *goal*, breadth first; None when there is none."""
        came: dict[int, Edge | None] = {start: None}
        queue = deque([start])
        while queue:
            node = queue.popleft()
            for edge in self.edges.get(node, ()):
                if edge.after == goal:
                    return [*_back(came, node), edge]
                if edge.after not in came:
                    came[edge.after] = edge
                    queue.append(edge.after)
        return None

    def components(self) -> Iterator[set[int]]:
        """The strongly connected components of more than one node (Tarjan 1972, without recursion)."""
        return (component for component in _Tarjan(self).components() if len(component) > 1)


def _back(came: dict[int, Edge | None], node: int) -> list[Edge]:
    way = []
    while (edge := came[node]) is not None:
        way.append(edge)
        node = edge.before
    return way[::-1]


class _Tarjan:
    """One depth-first walk over a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._number: dict[int, int] = {}
        self._low: dict[int, int] = {}
        self._path: list[int] = []
        self._on_path: set[int] = set()

    def components(self) -> Iterator[set[int]]:
        for root in list(self._graph.edges):
            if root not in self._number:
                yield from self._walk(root)

    def _walk(self, root: int) -> Iterator[set[int]]:
        stack = [(root, self._enter(root))]
        while stack:
            node, following = stack[-1]
            edge = next(following, None)
            if edge is None:
                stack.pop()
                if stack:
                    self._low[stack[-1][0]] = min(self._low[stack[-1][0]], self._low[node])
                if self._low[node] == self._number[node]:
                    yield self._leave(node)
            elif edge.after not in self._number:
                stack.append((edge.after, self._enter(edge.after)))
            elif edge.after in self._on_path:
                self._low[node] = min(self._low[node], self._number[edge.after])

    def _enter(self, node: int) -> Iterator[Edge]:
        self._number[node] = self._low[node] = len(self._number)
        self._path.append(node)
        self._on_path.add(node)
        return iter(self._graph.edges.get(node, ()))

    def _leave(self, node: int) -> set[int]:
        component = set[int]()
        while node not in component:
            component.add(self._path.pop())
        self._on_path -= component
        return component
