"""What a runner and its guard say to each other: nobody waits for ever for one that does not read."""

import json
import socket
from collections.abc import Iterator

import pytest

from chaos.guard import channel
from chaos.guard.channel import Channel


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the bare other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), theirs


def test_what_is_sent_is_received(pair: tuple[Channel, socket.socket]) -> None:
    """Whole messages, in their order."""
    one, other = pair
    other.sendall(b'{"do": "live"}\n{"do": "watch"}\n{"do"')
    assert one.receive(1) == [{"do": "live"}, {"do": "watch"}]
    one.send({"do": "acknowledge"})
    assert json.loads(other.recv(100)) == {"do": "acknowledge"}


def test_one_that_does_not_read_is_given_up(
    pair: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its buffer is full: the error says so, as of one that is gone."""
    monkeypatch.setattr(channel, "SEND_WITHIN_S", 0.1)
    one, _deaf = pair
    with pytest.raises(OSError, match="timed out"):
        for _ in range(100):
            one.send({"do": "x" * 100_000})


@pytest.mark.parametrize("said", [b"{\n", b"\xff\n", b"[]\n", b"[" * 100_000 + b"\n"])
def test_one_that_says_nonsense_counts_as_gone(pair: tuple[Channel, socket.socket], said: bytes) -> None:
    """As after a message that was cut off."""
    one, other = pair
    other.sendall(said)
    with pytest.raises(EOFError):
        one.receive(1)
