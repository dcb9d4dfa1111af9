"""Every consistency checker says what brute force says; ``make bench ONLY=agreement`` tries many more."""

import pytest

from tests.support.agreement import AGREEMENTS

SHARE = 600


@pytest.mark.parametrize("name", AGREEMENTS)
def test_a_checker_agrees_with_brute_force(name: str) -> None:
    """On random small histories, valid and invalid, unknown outcomes included."""
    valid, invalid, differ = AGREEMENTS[name].compare(SHARE, seed=1)
    assert not differ, differ[0]
    assert valid >= SHARE // 4
    assert invalid >= SHARE // 20
