"""Native memory is counted honestly and wiped before it is released."""

import gc
import resource
import weakref

import pytest

from services.orb_core.memory import NativeMemory, _wipe
from services.orb_core.objects import InvalidError, NotFoundError, ObjectStore, StaleError, Wanted


def wanted(widget_id="w1", revision=1, *, critical=False, payload=b"secret", key=None):
    """Return a wanted object; each has a key of its own unless given."""
    made = f"{widget_id}-{revision}" if key is None else key
    return Wanted(widget_id=widget_id, revision=revision, critical=critical, payload=payload, key=made)


@pytest.fixture
def store():
    return ObjectStore(NativeMemory())


def balanced(store) -> bool:
    """Tell whether the counters agree with each other and with what is there."""
    seen = store.memory.counters
    return seen.allocations - seen.deallocations == seen.live_objects == len(store.after("", 10**6))


def test_a_critical_block_is_zero_before_it_is_released(monkeypatch):
    """At the moment of unmapping every byte reads back as zero."""
    contents = []
    monkeypatch.setattr("services.orb_core.memory._wipe", lambda m: _wipe(m) and (contents.append(m[:]) or True))
    memory = NativeMemory()
    memory.release(memory.allocate(b"x" * 5000, critical=True))
    assert contents == [bytes(8192)]
    assert (memory.counters.zeroized, memory.counters.critical_deallocations) == (1, 1)


def test_a_block_that_will_not_turn_zero_is_never_called_released(monkeypatch):
    """It stays mapped and live, and counts as a failure only."""
    monkeypatch.setattr("services.orb_core.memory._wipe", lambda _: False)
    memory = NativeMemory()
    memory.release(memory.allocate(b"x", critical=True))
    seen = memory.counters
    assert (seen.zeroize_failures, seen.zeroized, seen.deallocations, seen.live_objects) == (1, 0, 0, 1)


def test_a_block_that_will_not_turn_zero_is_not_unmapped_behind_our_back(monkeypatch):
    """Nobody else knows it any more, and unmapped with its secret in it would be the worst end."""
    monkeypatch.setattr("services.orb_core.memory._wipe", lambda _: False)
    memory = NativeMemory()
    block = memory.allocate(b"x", critical=True)
    mapping = weakref.ref(block.mapping)
    memory.release(block)
    del block
    gc.collect()
    assert mapping() is not None


def test_without_zeroize_nothing_is_wiped(monkeypatch):
    """With `zeroize` off a critical block is released as it is."""
    monkeypatch.setattr("services.orb_core.memory._wipe", lambda _: pytest.fail("wiped"))
    memory = NativeMemory(zeroize=False)
    memory.release(memory.allocate(b"x", critical=True))
    assert (memory.counters.critical_deallocations, memory.counters.zeroized) == (1, 0)


def test_creating_twice_is_creating_once(store):
    """The same widget again, even under another key, finds the object that is there."""
    first = store.create(wanted())
    assert store.create(wanted(key="other")) == first
    assert balanced(store)


def test_without_dedup_a_repeat_is_a_second_object():
    """With `dedup` off a repeated create leaves two objects for one widget."""
    store = ObjectStore(NativeMemory(), dedup=False)
    store.create(wanted())
    store.create(wanted())
    assert len(store.after("", 10)) == 2
    store.remove("w1", "k")
    assert balanced(store)


def test_what_was_read_stays_as_it_was(store):
    """The block is wiped and unmapped by the next update: what a reader holds is his own copy."""
    made = store.create(wanted(critical=True))
    read = store.get("w1")
    store.update(wanted(revision=2, critical=True, payload=b"other"))
    store.remove("w1", "r")
    assert made == read
    assert (read.payload, read.revision, read.critical) == (b"secret", 1, True)


def test_updates_go_forward_only(store):
    """A later revision replaces, the same operation again changes nothing, an older one is stale."""
    store.create(wanted())
    assert store.update(wanted(revision=3)).revision == 3
    assert store.update(wanted(revision=3)).revision == 3
    with pytest.raises(StaleError):
        store.update(wanted(revision=2, key="late"))
    assert store.create(wanted(revision=4)).revision == 4
    assert balanced(store)


def test_removing_twice_is_fine_under_the_same_key(store):
    """The same operation again finds nothing to do; another one finds nothing at all."""
    store.create(wanted())
    store.remove("w1", "k")
    store.remove("w1", "k")
    with pytest.raises(NotFoundError):
        store.remove("w1", "other")
    with pytest.raises(NotFoundError):
        store.get("w1")
    assert balanced(store)


@pytest.mark.parametrize(
    "bad",
    [
        wanted(""),
        wanted("x" * 65),
        wanted("ü"),
        wanted(revision=0),
        wanted(revision=2**31),
        wanted(payload=b"x" * 65537),
    ],
)
def test_bad_objects_are_refused(store, bad):
    """Nothing is allocated for what cannot be stored."""
    with pytest.raises(InvalidError):
        store.create(bad)
    assert store.memory.counters.allocations == 0


def test_pages_are_in_order(store):
    """Listing goes on after an id, whatever the order of creation."""
    for widget_id in "cadb":
        store.create(wanted(widget_id))
    assert [item.widget_id for item in store.after("a", 2)] == ["b", "c"]


def test_ten_thousand_lives_leave_nothing_behind(store):
    """Created and removed 10,000 times: counters agree, every critical one was wiped, memory is flat."""

    def live(count):
        for number in range(count):
            name = f"w{number}"
            store.create(wanted(name, critical=number % 2 == 0, payload=b"x" * 5000, key=f"{name}-c"))
            store.remove(name, f"{name}-r")

    live(2000)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    live(10_000)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = store.memory.counters
    assert balanced(store)
    assert seen.live_bytes == 0
    assert seen.zeroized == seen.critical_deallocations == 6000
    assert after <= before * 1.05
