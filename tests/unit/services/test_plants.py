"""Defects are planted by name, in the lab profile, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services import plants
from services.web.environment import ConfigurationError, Environment

SERVICES = Path(plants.__file__).parent


@pytest.fixture(autouse=True)
def _nothing_stays_planted() -> Iterator[None]:
    """Whatever a test plants is gone afterwards."""
    yield
    plants.plant("", plants.PROFILE)


def common(**variables):
    """Read the common settings of Widget Core, or raise every problem."""
    env = Environment(variables)
    env.common("widget-core", 8081)
    env.check()


def test_what_is_named_is_planted():
    """Two names, two defects, and no third."""
    common(SERVICE_PROFILE="lab", PLATFORM_PLANT=f"{plants.COARSE_IDS}, {plants.TABLE_LOCK}")
    assert [name for name in plants.CATALOGUE if plants.on(name)] == [plants.COARSE_IDS, plants.TABLE_LOCK]


def test_production_refuses():
    """The service does not start, and nothing is planted."""
    with pytest.raises(ConfigurationError, match="PLATFORM_PLANT is only for SERVICE_PROFILE=lab"):
        common(SERVICE_PROFILE="production", PLATFORM_PLANT=plants.COARSE_IDS)
    assert not plants.on(plants.COARSE_IDS)


def test_an_unknown_name_is_refused_with_candidates():
    """The error names what was meant, perhaps."""
    with pytest.raises(ConfigurationError, match=f"'coarse_ids'; did you mean .*{plants.COARSE_IDS}"):
        common(SERVICE_PROFILE="lab", PLATFORM_PLANT="coarse_ids")


def test_nothing_is_planted_by_default():
    """A platform that is told nothing has none of the defects."""
    common(SERVICE_PROFILE="lab")
    assert not any(plants.on(name) for name in plants.CATALOGUE)
    assert len({plants.new_id() for _ in range(100)}) == 100


def test_a_read_that_is_repeated_may_be_mixed_up_with_the_one_before():
    """Planted, the second attempt asks for what somebody else has asked for; otherwise never."""
    honest = plants.asking("a")
    assert [honest(), honest()] == ["a", "a"]
    plants.plant(plants.MIXED_UP, plants.PROFILE)
    plants.asking("a")
    mixed = plants.asking("b")
    assert [mixed(), mixed()] == ["b", "a"]


def test_every_defect_has_its_place():
    """Each constant of the catalogue is asked for somewhere in the services."""
    code = "\n".join(path.read_text() for path in SERVICES.rglob("*.py"))
    constants = {name for name, value in vars(plants).items() if isinstance(value, str) and value in plants.CATALOGUE}
    assert len(constants) == len(plants.CATALOGUE)
    assert {name for name in constants if f"plants.{name}" not in code and f"on({name})" not in code} == set()
