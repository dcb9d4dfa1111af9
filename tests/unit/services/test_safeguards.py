"""Every declared switch is asked for, and every edge switch changes the policy of its edge."""

import importlib

import pytest

from services import safeguards
from services.drivers.postgres import pool_policy
from services.profiles import LAB, edge_policy, ingress_policy
from services.resilience import Switches
from services.web.environment import Environment

KINDS = {
    **dict.fromkeys(safeguards.POSTGRES_EDGES, "postgres"),
    **dict.fromkeys(safeguards.REDIS_EDGES, "redis"),
    **dict.fromkeys(safeguards.HTTP_EDGES, "http"),
    **dict.fromkeys(safeguards.ORB_EDGES, "orb-core"),
}
EDGE_SWITCHES = [(edge, name) for edge in safeguards.EDGES for name in safeguards.EVERY_EDGE]
SCOPES = [(edge, "breaker.scope") for edge in safeguards.HTTP_EDGES]
POOL_SWITCHES = [
    (edge, name) for edge in safeguards.POSTGRES_EDGES for name in safeguards.POSTGRES_EDGE if name != "bulkhead.split"
]


def off(*names):
    """Return switches with these names off."""
    return Switches(safeguards.catalogue(), names)


@pytest.mark.parametrize(("edge", "name"), EDGE_SWITCHES + SCOPES)
def test_an_edge_switch_changes_the_policy(edge, name):
    """Off is another policy than on, for every safeguard of every edge."""
    on = edge_policy(LAB, KINDS[edge], edge, off())
    assert edge_policy(LAB, KINDS[edge], edge, off(f"{edge}.{name}")) != on


@pytest.mark.parametrize(("edge", "name"), POOL_SWITCHES)
def test_a_pool_switch_changes_the_pool(edge, name):
    """Off is another pool than on, for every safeguard of a Postgres edge."""
    on = pool_policy(LAB.postgres, edge, 10, 0.1, off())
    assert pool_policy(LAB.postgres, edge, 10, 0.1, off(f"{edge}.{name}")) != on


@pytest.mark.parametrize("service", safeguards.SERVICES)
@pytest.mark.parametrize("name", ["ingress_limit", "queue_bound", "deadline_drop", "warmup"])
def test_a_door_switch_changes_the_door(service, name):
    """Off is another policy at the door than on."""
    assert ingress_policy(LAB, service, off(f"{service}.{name}")) != ingress_policy(LAB, service, off())


@pytest.mark.parametrize("service", ["gateway", "widget-core", "security"])
def test_every_declared_switch_is_asked_for(service):
    """A name in the catalogue that no code looks at would be a dead switch."""
    module = importlib.import_module(f"services.{service.replace('-', '_')}.main")
    built = module.build(Environment({"SERVICE_PROFILE": "lab"}))
    switches = built.common.switches
    assert switches.known - switches.asked == {f"{service}.drain"}  # asked when SIGTERM comes


def test_every_name_says_what_it_does():
    """The catalogue is documentation too."""
    assert all(text and not text.endswith(".") for text in safeguards.catalogue().values())
    assert set().union(*(safeguards.of_service(service) for service in safeguards.SERVICES)) == set(
        safeguards.catalogue()
    )
