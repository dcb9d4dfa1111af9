"""Safeguards are switched off by exact name or glob; nonsense is refused with a hint."""

import pytest

from services.resilience import Switches, UnknownSafeguardError
from services.resilience.switches import parse

ALL = {"a.pg.breaker", "a.pg.retry", "a.cache", "b.pg.breaker"}
OWN = {name for name in ALL if name.startswith("a.")}


def test_names_and_globs():
    """A name takes out one, a glob several, and others' names are left to them."""
    switches = parse(" a.cache , *.breaker,b.pg.breaker,", ALL, OWN)
    assert switches.off == {"a.cache", "a.pg.breaker"}
    assert (switches.on("a.cache"), switches.on("a.pg.retry")) == (False, True)


def test_nothing_is_off_by_default():
    """An empty list leaves everything on."""
    assert parse("", ALL, OWN).off == frozenset()


def test_a_name_of_nobody_is_refused():
    """The error names all unknown ones, and what was meant."""
    with pytest.raises(UnknownSafeguardError, match=r"'a.pg.braker'.*a.pg.breaker.*'zzz'.*known:"):
        parse("a.pg.braker,zzz", ALL, OWN)


def test_asking_for_an_undeclared_safeguard_is_a_bug():
    """A switch that nobody declared could never be thrown."""
    with pytest.raises(UnknownSafeguardError):
        Switches(OWN).on("a.pg.brake")


def test_what_was_asked_is_remembered():
    """So that a declared switch nobody asks for can be found."""
    switches = Switches(OWN)
    switches.on("a.cache")
    assert switches.asked == {"a.cache"}
