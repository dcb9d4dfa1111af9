"""What ORB Core says of itself over HTTP is what is so."""

import json

import pytest

from services.orb_core.api import routes
from services.orb_core.memory import NativeMemory
from services.orb_core.objects import ObjectStore


@pytest.fixture
def ready(run):
    def ready(store, *, taken):
        async def take() -> bool:
            return taken

        router = routes(store, "IOR:", take)
        (endpoint,) = [route.endpoint for route in router.routes if route.path == "/ready"]
        answer = run(endpoint())
        return answer.status_code, json.loads(answer.body)

    return ready


def test_ready_when_calls_are_taken(ready):
    """Nothing is degraded."""
    said = ready(ObjectStore(NativeMemory()), taken=True)
    assert said == (200, {"status": "ok", "service": "orb-core", "degraded": []})


def test_not_ready_when_the_orb_takes_no_calls(ready):
    """Its own port cannot be dialled: whoever routes calls here must know."""
    said = ready(ObjectStore(NativeMemory()), taken=False)
    assert said == (503, {"status": "down", "service": "orb-core", "degraded": ["orb-core.iiop"]})


def test_memory_that_will_not_turn_zero_is_told(ready, monkeypatch):
    """It serves, and somebody must look at it."""
    monkeypatch.setattr("services.orb_core.memory._wipe", lambda _: False)
    memory = NativeMemory()
    memory.release(memory.allocate(b"x", critical=True))
    said = ready(ObjectStore(memory), taken=True)
    assert said == (200, {"status": "degraded", "service": "orb-core", "degraded": ["orb-core.zeroize"]})
