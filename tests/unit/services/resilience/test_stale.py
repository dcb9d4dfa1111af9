"""Old values are kept within bounds of number, age and version."""

from services.resilience import StaleCache


def cache(clock, **more):
    return StaleCache(**{"size": 2, "hard_ttl_s": 10, "clock": clock, **more})


def test_a_newer_version_is_not_replaced_by_an_older(clock):
    """What comes late cannot put the clock back."""
    known = cache(clock)
    known.put("a", "new", 2)
    known.put("a", "old", 1)
    assert known.get("a").value == "new"


def test_without_versions_the_last_one_wins(clock):
    """With `cache.versioned` off a late write puts an old value back."""
    known = cache(clock, versioned=False)
    known.put("a", "new", 2)
    known.put("a", "old", 1)
    assert known.get("a").value == "old"


def test_nothing_is_older_than_the_hard_limit(clock):
    """Beyond the limit a value is forgotten; its age before counts too."""
    known = cache(clock)
    known.put("a", "x", 1, age_s=4)
    clock.pass_(6)
    assert known.age_s(known.get("a")) == 10
    clock.pass_(1)
    assert known.get("a") is None
    assert len(known) == 0


def test_the_oldest_goes_first(clock):
    """A full store forgets what was written longest ago."""
    known = cache(clock)
    for key in "abc":
        known.put(key, key, 1)
    assert [known.get(key) is not None for key in "abc"] == [False, True, True]


def test_dropping_forgets(clock):
    """A dropped key is unknown, and dropping it twice is fine."""
    known = cache(clock)
    known.put("a", "x", 1)
    known.drop("a")
    known.drop("a")
    assert known.get("a") is None
