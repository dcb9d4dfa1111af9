"""Recorded answers: what differs from run to run becomes a pattern, what was promised stays literal."""

import pytest

from tests.integration.contracts.patterns import differences, recorded

UUID = "3f2b8a0e-0d1c-4e5f-8a9b-0c1d2e3f4a5b"
OTHER = "00000000-0000-4000-8000-000000000001"


def answer(**changes: object) -> dict[str, object]:
    """An answer as the platform gives it."""
    return {
        "id": UUID,
        "name": "left gauge",
        "at": "2026-02-28T23:59:59.123456+00:00",
        "version": 1,
        "age_s": 1.25,
        "location": f"/widgets/{UUID}",
        "tags": ["a", None, True],
        **changes,
    }


def test_another_run_is_no_difference() -> None:
    """Other ids, other moments, other fractions, more members."""
    wanted = recorded(answer())
    later = answer(id=OTHER, at="2027-01-01T00:00:00Z", age_s=0.5, location=f"/widgets/{OTHER}", more="x")
    assert list(differences(wanted, later)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": "7"},
        {"id": None},
        {"name": "right gauge"},
        {"at": "yesterday"},
        {"version": 2},
        {"version": "1"},
        {"version": True},
        {"age_s": 1},
        {"location": f"/other/{UUID}"},
        {"tags": ["a", None]},
        {"tags": ["a", None, 1]},
        {"tags": {}},
    ],
)
def test_whatever_was_promised_and_is_not_so_is_named(change: dict[str, object]) -> None:
    """One difference, and the member it is in."""
    [found] = differences(recorded(answer()), answer(**change))
    assert found.startswith(f"body.{next(iter(change))}")


def test_a_missing_member_is_named() -> None:
    """By its path."""
    seen = answer()
    del seen["version"]
    assert list(differences(recorded(answer()), seen)) == ["body.version is missing"]


def test_problems_keep_their_type_and_may_change_their_words() -> None:
    """`title` and `detail` are for people; the type is for programs."""
    problem = {"type": "urn:problem:bad-limit", "title": "The request is not valid", "status": 400}
    wanted = recorded(problem)
    assert list(differences(wanted, {**problem, "title": "Nonsense"})) == []
    assert len(list(differences(wanted, {**problem, "type": "urn:problem:other"}))) == 1


def test_a_list_of_as_many_as_there_are_is_compared_one_by_one() -> None:
    """More keys than were recorded are fine, a key that looks different is not, none is not."""
    wanted = recorded({"keys": [{"kid": "a" * 20, "alg": "EdDSA"}]})
    good = {"kid": "b" * 20, "alg": "EdDSA"}
    assert list(differences(wanted, {"keys": [good, good]})) == []
    assert len(list(differences(wanted, {"keys": [good, {**good, "alg": "none"}]}))) == 1
    assert len(list(differences(wanted, {"keys": []}))) == 1
