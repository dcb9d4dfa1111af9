"""CORBA's exceptions have their meaning, and references are fetched again when they are doubted."""

import pytest
from omniORB import CORBA

from services.resilience import AttemptTimeout, NotSent, OutcomeUnknown
from services.widget_core.orb import Binding, translate

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
    generation, reference = binding.current()
    assert reference == "reference 1"
    for _ in range(10):
        binding.doubt(generation)
        assert binding.current()[1] == "reference 1"
    clock.pass_(1)
    assert binding.current() == (2, "reference 2")
    binding.doubt(generation)
    clock.pass_(1)
    assert binding.current()[1] == "reference 2"


def test_without_rebind_the_first_reference_is_kept(clock):
    """With `rebind` off a restarted server is never found again."""
    contact = Contact()
    binding = Binding(contact, clock, rebind=False)
    generation, _ = binding.current()
    binding.doubt(generation)
    clock.pass_(100)
    assert (binding.current()[1], contact.made) == ("reference 1", 1)


def test_a_failed_first_contact_is_an_error_and_tried_again(clock):
    """The caller learns that nothing was sent."""
    contact = Contact()
    contact.error = CORBA.TRANSIENT(0, NO)
    binding = Binding(contact, clock)
    with pytest.raises(NotSent):
        binding.current()
    contact.error = None
    assert binding.current()[1] == "reference 2"
