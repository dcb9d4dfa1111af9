"""Stand-ins for what services talk to: they answer, or fail as they are told."""

# ruff: noqa: ARG002 - fakes take what the real ones take; made-up secrets

import random
import time

from services.resilience import Edge, EdgePolicy, RetryPolicy


class Unseen:
    """An observer of an edge that looks away."""

    def attempted(self):
        """Look away."""

    def finished(self, outcome):
        """Look away."""

    def rejected_by_bulkhead(self):
        """Look away."""

    def changed(self, old, new):
        """Look away."""


def edge(name="caller.dependency", **policy):
    """Return an edge that tries once."""
    policy = {"attempt_s": 60.0, "retry": RetryPolicy(enabled=False), **policy}
    return Edge(name, EdgePolicy(**policy), Unseen(), time.monotonic, random.Random(1))


def _order(value):
    version, _, state = value.split(b" ", 3)[:3]
    return int(version), [b"pending", b"active", b"failed", b"gone"].index(state)


class FakeRedis:
    """A Redis edge: values in a dictionary, or the given error."""

    def __init__(self):
        self.edge = edge("caller.redis")
        self.values, self.error = {}, None
        self.asked = 0

    def script(self, source):
        """Return the script as a function of its keys and arguments."""
        return lambda keys, args: self.run(source, keys, args)

    async def run(self, source, keys, args):
        """Carry out the two scripts there are."""
        if "INCR" in source:
            self.values[keys[0]] = self.values.get(keys[0], 0) + 1
            return self.values[keys[0]]
        old = self.values.get(keys[0])
        if old and _order(old) > _order(args[0].encode()):
            return 0
        self.values[keys[0]] = args[0].encode()
        return 1

    async def get(self, key):
        """Return a value."""
        return self.values.get(key)

    async def set(self, key, value, px=None):
        """Set a value, whatever was there."""
        self.values[key] = value.encode()

    async def ask(self, command, deadline, *, safe=False):
        """Run *command*, or raise the error."""
        self.asked += 1
        if self.error:
            raise self.error
        return await command(self)

    async def try_ask(self, command, deadline, *, safe=False):
        """Run *command*; None when there is an error."""
        try:
            return await self.ask(command, deadline, safe=safe)
        except type(self.error or Exception()):
            return None
