"""The Toxiproxy that ``TOXIPROXY_URL`` names is one that the lab can reach and may touch."""

import pytest

from chaos.errors import UsageError
from chaos.stacks.edges import given_url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "127.0.0.1:8474",
        "localhost:8474",
        "https://127.0.0.1:8474",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://user:word@127.0.0.1:8474",
        "http://127.0.0.1:8474/v2",
        "http://127.0.0.1:8474?x",
        "http://:8474",
        "http://[::1",
    ],
)
def test_what_is_no_address_of_a_toxiproxy_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The error shows what it should look like."""
    monkeypatch.setenv("TOXIPROXY_URL", url)
    with pytest.raises(UsageError, match=r"TOXIPROXY_URL='.*' is not .* 'http://127\.0\.0\.1:8474'"):
        given_url(())


def test_a_foreign_host_is_refused_until_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the setting."""
    monkeypatch.setenv("TOXIPROXY_URL", "http://192.0.2.1:8474/")
    with pytest.raises(UsageError, match=r"list '192\.0\.2\.1' in allow-hosts"):
        given_url(())
    assert given_url(["192.0.2.1"]) == "http://192.0.2.1:8474"


def test_it_need_not_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the lab starts its own."""
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
    assert given_url(()) is None
