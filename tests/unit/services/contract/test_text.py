"""What comes from outside is measured as it will be stored."""

import bisect
import json

import pytest
from pydantic import ValidationError

from services.contract.text import MAX_PAYLOAD
from services.contract.widgets import WidgetIn
from services.orb_core import objects


def accepted(payload) -> bool:
    """Tell whether a widget may have that payload."""
    try:
        WidgetIn(name="gauge", payload=payload)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "payload",
    [
        {"a": [1e308] * 2000},
        {"a": [-1e-300] * 200},
        {"a": [{}] * MAX_PAYLOAD},
        {"a": [[]] * MAX_PAYLOAD},
        {"a": "x" * MAX_PAYLOAD},
        {"x" * MAX_PAYLOAD: 1},
    ],
)
def test_what_grows_when_it_is_stored_is_too_large(payload):
    """Postgres writes numbers out, and an empty object takes room too."""
    assert not accepted(payload)


@pytest.mark.parametrize("value", ["", "𐍈", '"', {}, [], None, True, 0, 1.5, -1e-5, 1e22])
def test_what_is_accepted_fits_into_orb_core(value):
    """The largest payload of each kind that is accepted, as Postgres shows it, is one that ORB Core holds."""
    count = bisect.bisect_left(range(MAX_PAYLOAD), 1, key=lambda number: not accepted({"a": [value] * number})) - 1
    stored = json.dumps({"a": [1e22] * count}).replace("1e+22", "1" + "0" * 22) if value == 1e22 else None
    stored = stored or json.dumps({"a": [value] * count}, ensure_ascii=False).replace("-1e-05", "-0.00001")
    assert count > 100
    assert len(stored.encode()) <= objects.MAX_PAYLOAD
