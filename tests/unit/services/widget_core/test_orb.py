"""CORBA's exceptions have their meaning, and references are fetched again when they are doubted."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from omniORB import CORBA

from chaos.clock import wait_for
from services.resilience import AttemptTimeout, NotSent, OutcomeUnknown
from services.widget_core.orb import Binding, OrbSpec, Refused, portions, translate

NO, YES, MAYBE = CORBA.COMPLETED_NO, CORBA.COMPLETED_YES, CORBA.COMPLETED_MAYBE


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (CORBA.TRANSIENT(0, NO), NotSent),
        (CORBA.TRANSIENT(0, MAYBE), OutcomeUnknown),
        (CORBA.COMM_FAILURE(0, MAYBE), OutcomeUnknown),
        (CORBA.COMM_FAILURE(0, NO), NotSent),
        (CORBA.TIMEOUT(0, MAYBE), AttemptTimeout),
        (CORBA.OBJECT_NOT_EXIST(0, NO), NotSent),
        (CORBA.MARSHAL(0, YES), OutcomeUnknown),
        (CORBA.MARSHAL(0, NO), Refused),
    ],
)
def test_name_and_completion_decide(error, meaning):
    """Never the minor code."""
    assert type(translate(error)) is meaning


class Contact:
    """Hand out references, one after the other, or fail."""

    def __init__(self):
        self.made, self.error = 0, None

    def __call__(self):
        self.made += 1
        if self.error:
            raise self.error
        return f"reference {self.made}"


def test_a_doubted_reference_is_fetched_again_once_a_second(clock):
    """Many errors in a second are one fetch."""
    contact = Contact()
    binding = Binding(contact, clock)
    generation, reference = binding.current(1.0)
    assert reference == "reference 1"
    for _ in range(10):
        binding.doubt(generation)
        assert binding.current(1.0)[1] == "reference 1"
    clock.pass_(1)
    assert binding.current(1.0) == (2, "reference 2")
    binding.doubt(generation)
    clock.pass_(1)
    assert binding.current(1.0)[1] == "reference 2"


def test_without_rebind_the_first_reference_is_kept(clock):
    """With `rebind` off a restarted server is never found again."""
    contact = Contact()
    binding = Binding(contact, clock, rebind=False)
    generation, _ = binding.current(1.0)
    binding.doubt(generation)
    clock.pass_(100)
    assert (binding.current(1.0)[1], contact.made) == ("reference 1", 1)


def test_a_failed_first_contact_is_an_error_and_tried_again(clock):
    """The caller learns that nothing was sent."""
    contact = Contact()
    contact.error = CORBA.TRANSIENT(0, NO)
    binding = Binding(contact, clock)
    with pytest.raises(NotSent):
        binding.current(1.0)
    contact.error = None
    assert binding.current(1.0)[1] == "reference 2"


class Silence:
    """A first contact that takes its time and then fails, counted."""

    def __init__(self):
        self.made, self.over = 0, threading.Event()

    def __call__(self):
        self.made += 1
        self.over.wait(5)
        raise CORBA.TIMEOUT(0, MAYBE)


class CountingLock:
    """A lock that knows how many have asked for it."""

    def __init__(self):
        self.asked, self._lock = [], threading.Lock()
        self.release = self._lock.release

    def acquire(self, timeout):
        self.asked.append(timeout)
        return self._lock.acquire(timeout=timeout)


def test_who_waits_for_a_failed_first_contact_does_not_fail_after_him(clock):
    """Five who come together learn of one failure together, instead of one after the other."""
    contact = Silence()
    binding = Binding(contact, clock)
    binding._lock = CountingLock()
    with ThreadPoolExecutor(5) as threads:
        asked = [threads.submit(binding.current, 5.0) for _ in range(5)]
        wait_for(lambda: len(binding._lock.asked) == 5, what="four stand behind the first", within_s=5)
        contact.over.set()
        errors = {type(one.exception(5)) for one in asked}
    assert (contact.made, errors) == (1, {AttemptTimeout, NotSent})


def test_nobody_waits_for_a_first_contact_beyond_his_own_time(clock):
    """The one who dials is still waiting; the next one has a tenth of a second, and nothing was sent for him."""
    contact = Silence()
    binding = Binding(contact, clock)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(binding.current, 5.0)
        wait_for(lambda: contact.made, what="the first one dials", within_s=5)
        started = time.monotonic()
        with pytest.raises(NotSent):
            binding.current(0.1)
        assert time.monotonic() - started < 1
        contact.over.set()
        assert isinstance(first.exception(5), AttemptTimeout)


def spec(size):
    """Return a spec with a payload of *size* bytes."""
    return OrbSpec(widget_id="w", revision=1, critical=False, payload="x" * size, key="k")


def test_what_goes_together_fits_into_one_message():
    """A GIOP message may have 2 MiB: a hundred large objects are several messages, in their order."""
    many = [spec(size) for size in (10, 600_000, 600_000, 10, 900_000, 3_000_000, 10)]
    parts = [[len(one.payload) for one in part] for part in portions(many)]
    assert parts == [[10, 600_000], [600_000, 10], [900_000], [3_000_000], [10]]


def test_small_objects_go_together():
    """A hundred of an ordinary size are one message; none is no message."""
    assert [len(part) for part in portions([spec(1000)] * 100)] == [100]
    assert list(portions([])) == []
