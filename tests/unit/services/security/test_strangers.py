"""Whoever is not registered is locked out like whoever is."""

from services.security.strangers import REMEMBERED, Strangers

WHO = "nobody@example.org"


def strangers(clock):
    """Return a memory that locks for half a minute at the third failure."""
    return Strangers(most=3, lock_s=30.0, clock=clock)


def test_an_address_is_locked_for_a_while(clock):
    """At the third failure; afterwards it has three again."""
    here = strangers(clock)
    for _ in range(2):
        for _ in range(2):
            here.count(WHO)
            assert here.locked_s(WHO) == 0
        here.count(WHO)
        assert here.locked_s(WHO) == 30
        assert here.locked_s("another@example.org") == 0
        clock.pass_(31)
        assert here.locked_s(WHO) == 0


def test_who_registers_is_a_stranger_no_more(clock):
    """What was counted is forgotten."""
    here = strangers(clock)
    for _ in range(3):
        here.count(WHO)
    here.forget(WHO)
    assert here.locked_s(WHO) == 0


def test_a_flood_of_addresses_takes_no_more_memory_than_it_may(clock):
    """The one that was seen longest ago goes."""
    here = strangers(clock)
    for number in range(REMEMBERED + 5):
        here.count(f"{number}@example.org")
    assert len(here._known) == REMEMBERED
    assert "4@example.org" not in here._known
