"""What the scenarios send to the platform, and what they read from its stores at rest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import count, cycle

import requests

from chaos import Lab, Request, wait_for

WIDGETS = "/api/v1/widgets"
AUTH = "/api/v1/auth"

# Enough widgets that none is read twice within the cache's soft time to live (2 s) at 50 reads a
# second: every read goes to Postgres, while Widget Core itself still remembers every widget.
UNCACHED = 200


def reads(lab: Lab) -> Iterator[Request]:
    """Read one widget after another, each so rarely that the cache has to ask Postgres."""
    headers = sign_in(lab)
    widgets = cycle(uncached(lab, make_widgets(lab, headers, UNCACHED)))
    return (Request(operation="read", path=f"{WIDGETS}/{wid}", key=wid, headers=headers) for wid in widgets)


def hot_reads(lab: Lab) -> Iterator[Request]:
    """Read ten widgets over and over: nearly all of it comes from the cache."""
    headers = sign_in(lab)
    widgets = cycle(make_widgets(lab, headers, 10))
    return (Request(operation="read", path=f"{WIDGETS}/{wid}", key=wid, headers=headers) for wid in widgets)


def native_reads(lab: Lab) -> Iterator[Request]:
    """Ask ORB Core for the native object of one widget after another."""
    headers = sign_in(lab)
    widgets = cycle(make_widgets(lab, headers, 100))
    return (Request(operation="native", path=f"{WIDGETS}/{wid}/native", key=wid, headers=headers) for wid in widgets)


def writes(lab: Lab) -> Iterator[Request]:
    """Create widgets with unique names; a client tries once."""
    return _creates(lab, attempts=1)


def persistent_writes(lab: Lab) -> Iterator[Request]:
    """Create widgets with unique names; a client tries again, with the same key, until it knows."""
    return _creates(lab, attempts=100)


def health(lab: Lab) -> Iterator[Request]:
    """What an orchestrator asks the gateway."""
    del lab
    while True:
        yield Request(operation="health", path="/health")


def widgets_at_rest(lab: Lab) -> Mapping[str, int]:
    """How often each name is in the table of widgets, read past every proxy."""
    with closing(lab.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name, count(*) FROM widgets GROUP BY name")
        return dict(cursor.fetchall())


def sign_in(lab: Lab) -> Mapping[str, str]:
    """Register a new user, log in, and return the header that says so."""
    user = {"email": f"load-{uuid.uuid4().hex[:12]}@example.org", "password": uuid.uuid4().hex}
    requests.post(f"{lab.url}{AUTH}/register", json=user, timeout=5).raise_for_status()
    answer = requests.post(f"{lab.url}{AUTH}/login", json=user, timeout=5)
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def make_widgets(lab: Lab, headers: Mapping[str, str], number: int) -> list[str]:
    """Make *number* widgets, a hundred at a time, with native objects; returns their ids."""
    made: list[str] = []
    while len(made) < number:
        batch = [{"name": f"seed-{uuid.uuid4().hex[:12]}"} for _ in range(min(100, number - len(made)))]
        answer = requests.post(
            f"{lab.url}{WIDGETS}/bulk",
            json={"widgets": batch},
            timeout=10,
            headers={**headers, "Idempotency-Key": uuid.uuid4().hex},
        )
        answer.raise_for_status()
        made += [widget["id"] for widget in answer.json()["widgets"]]
    return made


def uncached(lab: Lab, widgets: list[str]) -> list[str]:
    """Take *widgets* out of the cache, once the relay has finished making and caching them."""
    keys = [f"widget:{wid}" for wid in widgets]
    with lab.redis() as cache:
        wait_for(lambda: cache.exists(*keys) == len(keys), what="every new widget is active and cached", within_s=5)
        cache.delete(*keys)
    return widgets


def _creates(lab: Lab, attempts: int) -> Iterator[Request]:
    headers = sign_in(lab)
    run = uuid.uuid4().hex[:8]
    for number in count():
        name = f"w-{run}-{number}"
        yield Request(
            operation="create",
            method="POST",
            path=WIDGETS,
            headers=headers,
            body={"name": name},
            value=name,
            idempotency_key=name,
            attempts=attempts,
        )
