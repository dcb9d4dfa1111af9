"""Everybody is answered with what he asked for."""

from dataclasses import replace

from chaos import OwnKey
from chaos.history import Operation
from chaos.results.model import Verdict
from tests.support.histories import history, op

CHECK = OwnKey(operation="read")


def asked(at_s: float, key: str, answered: str | None, **more) -> Operation:
    """A read of *key* whose answer names *answered*."""
    return replace(op(at_s, value=answered, **more), key=key)


def test_answers_that_name_their_keys_hold():
    """Each was asked for one thing, and answered with it."""
    found = CHECK(history([asked(1, "a", "a"), asked(2, "b", "b")]))
    assert (found.verdict, found.checked) == (Verdict.HELD, 2)


def test_one_answer_with_the_rows_of_another_request_refutes():
    """The witness says whose they were."""
    found = CHECK(history([asked(1, "a", "a"), asked(2, "b", "a"), asked(3, "c", "c")]))
    assert (found.verdict, found.measured["crossed"]) == (Verdict.REFUTED, 1)
    assert "asked for 'b', answered with 'a'" in found.witness[0]


def test_an_answer_without_a_name_among_others_refutes():
    """It is not shown to be the right one."""
    assert CHECK(history([asked(1, "a", "a"), asked(2, "b", None)])).verdict is Verdict.REFUTED


def test_errors_name_nothing():
    """What failed carried no rows; it is for other checkers."""
    found = CHECK(history([asked(1, "a", "a"), asked(2, "b", None, status=503)]))
    assert (found.verdict, found.checked) == (Verdict.HELD, 1)


def test_a_workload_that_reads_no_key_proves_nothing():
    """Otherwise a forgotten ``reads`` would hold for ever."""
    assert CHECK(history([asked(1, "a", None), asked(2, "b", None)])).verdict is Verdict.INVALID
