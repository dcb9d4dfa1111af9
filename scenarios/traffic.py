"""What the scenarios send to the platform, and what they read from its stores at rest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count, cycle, repeat

import requests

from chaos import Answer, JsonField, Lab, Latency, Request, inject, wait_for

WIDGETS = "/api/v1/widgets"
AUTH = "/api/v1/auth"

# Enough widgets that none is read twice within the cache's soft time to live (2 s) at 50 reads a
# second: every read goes to Postgres, while Widget Core itself still remembers every widget.
UNCACHED = 200

FIRST_NAME = "not yet renamed"


def reads(lab: Lab) -> Iterator[Request]:
    """Read one widget after another, each so rarely that the cache has to ask Postgres."""
    headers = sign_in(lab)
    widgets = cycle(uncached(lab, make_widgets(lab, headers, UNCACHED)))
    own = JsonField("id")
    return (Request(operation="read", path=f"{WIDGETS}/{wid}", key=wid, headers=headers, reads=own) for wid in widgets)


def hot_reads(lab: Lab) -> Iterator[Request]:
    """Read ten widgets over and over: nearly all of it comes from the cache."""
    headers = sign_in(lab)
    widgets = cycle(make_widgets(lab, headers, 10))
    return (Request(operation="read", path=f"{WIDGETS}/{wid}", key=wid, headers=headers) for wid in widgets)


def cached_reads(lab: Lab) -> Iterator[Request]:
    """The same as ``hot_reads``, to be judged apart from other reads."""
    return (replace(request, operation="cached") for request in hot_reads(lab))


def registers(lab: Lab) -> Iterator[Request]:
    """Rename eight widgets, called ``FIRST_NAME`` until then, in turn; in between read one renamed four turns ago."""
    headers = sign_in(lab)
    widgets = make_widgets(lab, headers, 8)
    for wid in widgets:
        requests.patch(
            f"{lab.url}{WIDGETS}/{wid}", json={"name": FIRST_NAME}, headers=headers, timeout=5
        ).raise_for_status()
    for number in count():
        wid, other = widgets[number % 8], widgets[(number + 4) % 8]
        name = f"n-{number}"
        yield Request(
            operation="rename",
            method="PATCH",
            path=f"{WIDGETS}/{wid}",
            key=wid,
            headers=headers,
            body={"name": name},
            value=name,
        )
        read = Request(operation="read", path=f"{WIDGETS}/{other}", key=other, headers=headers, reads=JsonField("name"))
        yield from repeat(read, 5)


def edits(lab: Lab) -> Iterator[Request]:
    """Look at one of two widgets and add a mark of one's own to what was seen there."""
    headers = sign_in(lab)
    widgets = cycle(make_widgets(lab, headers, 2))
    for wid in widgets:
        yield Request(operation="look", path=f"{WIDGETS}/{wid}", key=wid, headers=headers, then=partial(_mark, headers))


def _mark(headers: Mapping[str, str], seen: Answer) -> Request:
    widget, mark = seen.json(), uuid.uuid4().hex[:8]
    marks = [*widget["payload"].get("marks", []), mark]
    return Request(
        operation="edit",
        method="PUT",
        path=f"{WIDGETS}/{widget['id']}",
        key=widget["id"],
        headers={**headers, "If-Match": seen.headers["ETag"]},
        body={"name": widget["name"], "payload": {"marks": marks}},
        value=mark,
        idempotency_key=mark,
    )


def distant_lists(lab: Lab) -> Iterator[Request]:
    """List widgets, with Postgres 20 ms away as long as the lab lives.

    No cache answers a list, and Widget Core has three connections for them: about 140 a second is all it can.
    """
    headers = sign_in(lab)
    make_widgets(lab, headers, 5)
    inject(Latency(delay_ms=20), lab, "widget-core.postgres")
    return repeat(Request(operation="list", path=f"{WIDGETS}?limit=1", headers=headers))


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


def marks_at_rest(lab: Lab) -> Mapping[str, int]:
    """How often each mark is in the payloads of the widgets, read past every proxy."""
    with closing(lab.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT mark, count(*) FROM widgets, jsonb_array_elements_text(payload->'marks') AS mark GROUP BY mark"
        )
        return dict(cursor.fetchall())


def sign_in(lab: Lab) -> Mapping[str, str]:
    """Register a new user, log in, and return the header that says so, once the platform is entirely well."""
    wait_for(lambda: _is_well(lab), what="the gateway calls nothing degraded", within_s=5)
    user = {"email": f"load-{uuid.uuid4().hex[:12]}@example.org", "password": uuid.uuid4().hex}
    requests.post(f"{lab.url}{AUTH}/register", json=user, timeout=5).raise_for_status()
    answer = requests.post(f"{lab.url}{AUTH}/login", json=user, timeout=5)
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _is_well(lab: Lab) -> bool:
    """Whether the gateway complains of nothing; before its first copy of the revocations it refuses every change."""
    health: dict[str, object] = requests.get(f"{lab.url}/health", timeout=5).json()
    return not health["degraded"]


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
