"""A fault whose arguments make no sense cannot be made, and all that is wrong is told at once."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos import (
    Bandwidth,
    Blackhole,
    Down,
    Freeze,
    HalfOpen,
    Latency,
    LimitData,
    ResetPeer,
    Restart,
    Slicer,
    SlowClose,
    flapping,
    in_turn,
    ramp,
    rearmed,
    together,
)
from chaos.errors import FaultError, UsageError

NAMES = {
    Bandwidth: ["rate_kbps", "toxicity"],
    Blackhole: ["toxicity"],
    Freeze: ["heals", "toxicity"],
    HalfOpen: ["toxicity"],
    Latency: ["delay_ms", "jitter_ms", "toxicity"],
    LimitData: ["bytes", "toxicity"],
    ResetPeer: ["after_ms", "toxicity", "stream", "drop_open"],
    Restart: ["signal"],
    Slicer: ["average_bytes", "variation_bytes", "delay_us", "toxicity"],
    SlowClose: ["delay_ms", "toxicity"],
}
NEEDED = {
    Bandwidth: "rate_kbps",
    Latency: "delay_ms",
    LimitData: "bytes",
    Slicer: "average_bytes",
    SlowClose: "delay_ms",
}

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(["upstream", "downstream", 0, 1, 9, 0.5, 50]),
)


@settings(max_examples=400)
@given(data=st.data(), fault=st.sampled_from([*NAMES]))
def test_whatever_is_given_either_makes_sense_or_is_a_typed_error(data: st.DataObject, fault: Any) -> None:
    """The error names only attributes that were given, each with its value."""
    given_ = data.draw(st.dictionaries(st.sampled_from(NAMES[fault]), anything))
    if needed := NEEDED.get(fault):
        given_.setdefault(needed, 50)
    error = None
    try:
        made = fault(**given_)
    except FaultError as refused:
        error = refused
    if error is None:
        assert {name: getattr(made, name) for name in given_} == given_
        assert 0.01 <= getattr(made, "toxicity", 1) <= 1
        return
    assert error.fault == fault.__name__
    assert error.problems
    for problem in error.problems:
        assert f"{getattr_or_default(fault, given_, problem.split()[0])!r}" in problem
        assert "expected" in problem


def getattr_or_default(fault: Any, given_: dict[str, Any], name: str) -> Any:
    """What the attribute *name* was, given or not."""
    return given_[name] if name in given_ else fault.__dataclass_fields__[name].default


def test_all_problems_are_told_at_once() -> None:
    """With the field, the value and what is expected."""
    with pytest.raises(FaultError) as caught:
        Latency(delay_ms=-1, jitter_ms=2.5, toxicity=50)  # type: ignore[arg-type]
    assert caught.value.problems == (
        "delay_ms is -1; expected a whole number from 10 to 600000",
        "jitter_ms is 2.5; expected a whole number from 0 to 0",
        "toxicity is 50; expected the share of connections that it hits, from 0.01 to 1",
    )
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Latency(delay_ms=9),
        lambda: Latency(delay_ms=100, jitter_ms=91),
        lambda: SlowClose(delay_ms=9),
        lambda: Blackhole(toxicity=0.009),
    ],
)
def test_a_fault_too_small_to_be_seen_cannot_be_made(make: Any) -> None:
    """A probe of the healthy edge would look the same, so its evidence would prove nothing."""
    with pytest.raises(FaultError, match="expected"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        together,
        lambda: in_turn(each_s=1),
        lambda: ramp([], every_s=1),
        lambda: in_turn(Down(), each_s=0),
        lambda: in_turn(Down(), each_s=float("nan")),
        lambda: ramp([Down()], every_s=True),
        lambda: flapping(Down(), on_ms=1, off_ms=10**9),
        lambda: rearmed(ResetPeer(), every_ms=0),
    ],
)
def test_faults_made_of_faults_are_checked_too(make: Any) -> None:
    """Nothing to do, and no time to do it in."""
    with pytest.raises(FaultError, match="expected"):
        make()


def test_a_fault_is_a_value() -> None:
    """Equal when it says the same, usable as a key, and shown as it is written."""
    assert Latency(delay_ms=50) == Latency(delay_ms=50)
    assert len({Freeze(), Freeze(heals=False), Freeze()}) == 2
    assert repr(ResetPeer(toxicity=0.3)) == "ResetPeer(after_ms=0, toxicity=0.3, stream='downstream', drop_open=True)"
