"""Probes tell what an address does, and never take the lab's own trouble for it."""

import pytest

from chaos.config import Address
from chaos.errors import LabError
from chaos.probes import converse, probe

BROADCAST = Address("127.255.255.255", 1)
"""TCP cannot be spoken to a broadcast address, and the kernel says so before anything is sent."""


def test_a_question_that_cannot_be_asked_is_no_reset() -> None:
    """It would count as a fault that bit."""
    with pytest.raises(LabError, match=r"127\.255\.255\.255:1 cannot be probed from here: .*unreachable"):
        probe(BROADCAST, "redis")


def test_a_conversation_that_cannot_be_had_is_no_close() -> None:
    """It would count as one that the other side ended."""
    with pytest.raises(LabError, match="cannot be probed from here"):
        converse(BROADCAST, b"PING\r\n", 7, 0.5)
