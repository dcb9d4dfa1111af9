"""Each switch of `services.safeguards` does what its name says, and the check of each would notice if it did not."""

import itertools

import pytest

from services import safeguards
from tests.conformance.platform.switches.table import CHECKS
from tests.conformance.platform.switches.world import World

_numbers = itertools.count()


@pytest.fixture
def world(monkeypatch, request, supervisor, tmp_path):
    """Everything on, everything in reach; stores are there when they are asked for."""

    def stores():
        return request.getfixturevalue("running_stores").copy(f"switches_{next(_numbers)}")

    return World(monkeypatch, stores, supervisor, tmp_path)


def judge(world, name):
    """Fail unless the safeguard's behaviour is seen with the switch on, and is not seen with it off."""
    world.begin()
    assert CHECKS[name](world), f"{name} is on, and does not show"
    world.begin(name)
    assert not CHECKS[name](world), f"{name} is off, and shows all the same"


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_switch_changes_the_behaviour_it_names(world, name):
    """On, the safeguard is seen at work; off, the service is as naive as it would be without."""
    judge(world, name)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_no_check_survives_a_switch_that_does_nothing(world, name):
    """With the lookup of one switch stuck at "on" the check of that switch goes red."""
    world.stick(name)
    with pytest.raises(AssertionError, match="is off, and shows all the same"):
        judge(world, name)


def test_every_switch_has_its_check():
    """The table is the catalogue: nothing is left out, and nothing is made up."""
    assert set(CHECKS) == set(safeguards.catalogue())
