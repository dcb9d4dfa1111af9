"""Settings: sane defaults, and every problem told at once."""

import pytest

from services.web.environment import ConfigurationError, Environment


def common(**variables):
    env = Environment(variables)
    found = env.common("gateway", 8080)
    env.check()
    return found


def test_defaults():
    """Without variables: production, loopback, the usual port, everything on."""
    found = common()
    assert (found.profile.name, str(found.listen), found.log_level) == ("production", "127.0.0.1:8080", "INFO")
    assert found.switches.off == frozenset()


def test_all_problems_at_once():
    """One message names each bad variable, its value, and what was expected."""
    env = Environment(
        {
            "PORT": "0",
            "SERVICE_PROFILE": "x",
            "LOG_LEVEL": "loud",
            "U": "ftp://x",
            "A": "nowhere",
            "N": "-1",
            "HOST": "",
        }
    )
    env.common("gateway", 8080)
    env.url("U", "http://127.0.0.1:1")
    env.address("A", "127.0.0.1:1")
    env.number("N", 5)
    env.complain("and this")
    with pytest.raises(ConfigurationError) as told:
        env.check()
    lines = str(told.value).splitlines()
    assert len(lines) == 8
    for value in ("'0'", "'x'", "'loud'", "'ftp://x'", "'nowhere'", "'-1'", "HOST is ''", "and this"):
        assert any(value in line for line in lines), value


def test_secrets_are_never_shown():
    """A secret is taken as it is."""
    assert Environment({"S": "hush"}).secret("S") == "hush"


def test_switches_are_for_the_lab_only():
    """Production refuses RESILIENCE_DISABLE; the lab takes it."""
    with pytest.raises(ConfigurationError, match="only for SERVICE_PROFILE=lab"):
        common(RESILIENCE_DISABLE="gateway.drain")
    assert common(RESILIENCE_DISABLE="gateway.drain", SERVICE_PROFILE="lab").switches.off == {"gateway.drain"}


def test_names_of_others_are_ignored_and_nonsense_refused():
    """Each service takes its own names, leaves others', and refuses what nobody has."""
    lab = {"SERVICE_PROFILE": "lab"}
    assert common(RESILIENCE_DISABLE="widget-core.cache", **lab).switches.off == frozenset()
    for name in ("gateway.widget-core.braker", "toaster.breaker", "*.budgit"):
        with pytest.raises(ConfigurationError, match="no safeguard is called"):
            common(RESILIENCE_DISABLE=name, **lab)


def test_urls_and_addresses():
    """A trailing slash is fine; a path is not an address."""
    env = Environment({"U": "http://host:81/", "A": "host:81"})
    assert (env.url("U", ""), env.address("A", "").port) == ("http://host:81", 81)
    env.check()
