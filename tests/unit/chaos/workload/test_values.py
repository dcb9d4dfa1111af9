"""Workloads are values that say at once everything that is wrong with them."""

from itertools import islice, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos import Answer, Burst, ClosedLoop, Header, JsonField, Mix, OpenLoop, Ramp, Request
from chaos.errors import ConfigError

READ, WRITE = Request(operation="read", path="/r"), Request(operation="write", path="/w")


def reads(_: object):
    return repeat(READ)


def writes(_: object):
    return repeat(WRITE)


def nothing(_: object):
    return iter(())


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "50", None, True])
def test_a_rate_is_above_zero(rate: object) -> None:
    """Anything else is refused by name, with the plan's problems beside it."""
    with pytest.raises(ConfigError, match=r"OpenLoop: 2 problems\n  - plan 3 .*\n  - rate ") as raised:
        OpenLoop(plan=3, rate=rate)  # type: ignore[arg-type]
    assert repr(rate) in str(raised.value)


@pytest.mark.parametrize(
    ("users", "think_s", "problems"),
    [
        (0, 0, 1),
        (1.5, 0, 1),
        (True, 0, 1),
        (1, -1, 1),
        (1, (2, 1), 1),
        (1, (1, 2, 3), 1),
        (1, "x", 1),
        (0, (0, "x"), 2),
    ],
)
def test_users_and_their_thinking_make_sense(users: object, think_s: object, problems: int) -> None:
    """All problems of a closed loop are told at once."""
    with pytest.raises(ConfigError) as raised:
        ClosedLoop(plan=reads, users=users, think_s=think_s)  # type: ignore[arg-type]
    assert len(raised.value.problems) == problems


def test_a_shape_lists_every_problem() -> None:
    """Ramps and bursts without rate, size or time are refused."""
    with pytest.raises(ConfigError, match="3 problems"):
        Ramp(start=-1, to=0, over_s=0)
    with pytest.raises(ConfigError, match="2 problems"):
        Burst(size=0, every_s=float("nan"))


def test_a_mix_lists_every_problem() -> None:
    """Weights above zero, plans that are plans, and at least one of them."""
    with pytest.raises(ConfigError, match=r"2 problems\n.*7 is not a plan\n.*weight 0 of reads"):
        Mix(parts=((7, 1), (reads, 0)))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="parts is empty"):
        Mix(parts=())
    with pytest.raises(ConfigError, match="plan nothing yields no request"):
        Mix(parts=((reads, 1), (nothing, 1)))(None)  # type: ignore[arg-type]


def test_a_mix_draws_each_plan_as_often_as_its_weight_says() -> None:
    """Nine to one stays nine to one, and the same seed gives the same order."""
    mix = Mix(parts=((reads, 9), (writes, 1)), seed=3)
    drawn = [r.operation for r in islice(mix(None), 5000)]  # type: ignore[arg-type]
    assert drawn.count("write") == pytest.approx(500, abs=70)
    assert drawn == [r.operation for r in islice(mix(None), 5000)]  # type: ignore[arg-type]


@given(start=st.floats(0, 1000), to=st.floats(0.1, 1000), over_s=st.floats(0.1, 100), number=st.integers(0, 100_000))
def test_a_ramp_counts_the_integral_of_its_rate(start: float, to: float, over_s: float, number: int) -> None:
    """When request n is due, the rate up to then adds up to n."""
    at = Ramp(start=start, to=to, over_s=over_s).due_s(number)
    rising = min(at, over_s)
    sent = start * rising + (to - start) * rising**2 / (2 * over_s) + to * max(0.0, at - over_s)
    assert sent == pytest.approx(number, rel=1e-6, abs=1e-3)


def test_a_burst_is_due_all_at_once() -> None:
    """Three at the start, three after two seconds, nothing between."""
    burst = Burst(size=3, every_s=2)
    assert [burst.due_s(n) for n in range(7)] == [0, 0, 0, 2, 2, 2, 4]


def test_a_value_is_read_from_the_answer() -> None:
    """By JSON path or by header; a number where it is one."""
    said = Answer(status=200, headers={"ETag": 'W/"7"', "X": "a"}, body=b'{"a": [{"b": 5}]}')
    assert JsonField("a.0.b")(said) == 5
    assert (Header("ETag")(said), Header("X")(said)) == (7, "a")
    assert JsonField()(said) == {"a": [{"b": 5}]}


@pytest.mark.parametrize("extract", [JsonField("a.1"), JsonField("b"), JsonField("a.0.b.c"), Header("ETag")])
def test_a_value_that_is_not_there_is_named(extract: object) -> None:
    """The error says which part was missing."""
    with pytest.raises(LookupError, match=r"1|'b'|'c'|'ETag'"):
        extract(Answer(status=200, body=b'{"a": [{"b": 5}]}'))  # type: ignore[operator]
