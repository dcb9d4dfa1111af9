"""Every declared switch is asked for, and says what it does."""

import importlib

import pytest

from services import safeguards
from services.web.environment import Environment


@pytest.mark.parametrize("service", safeguards.SERVICES)
def test_every_declared_switch_is_asked_for(service, monkeypatch):
    """A name in the catalogue that no code looks at would be a dead switch."""
    module = importlib.import_module(f"services.{service.replace('-', '_')}.main")
    if service == "orb-core":  # nothing is opened by the others' building
        monkeypatch.setattr(module, "activate", lambda *_: ("IOR:", None))
    switches = module.build(Environment({"SERVICE_PROFILE": "lab"})).common.switches
    assert switches.known - switches.asked == {f"{service}.drain"}  # asked when SIGTERM comes


def test_every_name_says_what_it_does():
    """The catalogue is documentation too."""
    assert all(text and not text.endswith(".") for text in safeguards.catalogue().values())
    assert set().union(*(safeguards.of_service(service) for service in safeguards.SERVICES)) == set(
        safeguards.catalogue()
    )
