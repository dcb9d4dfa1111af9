"""Recorded requests and answers of clients of version 1: sent again, and compared.

One JSON file holds one journey: exchanges in their order. A request may use ``{names}``: those that an
earlier exchange kept from its answer, and fresh ones (``{email}``, ``{key…}``) that are made up once a journey.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from tests.integration.contracts.patterns import differences, recorded

FOLDER: Final = Path(__file__).parent / "v1"
CONTRACT_HEADERS: Final = (
    "Content-Type",
    "Cache-Control",
    "ETag",
    "Location",
    "X-Cache",
    "Age",
    "Idempotent-Replay",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)
_NAME: Final = re.compile(r"\{(\w+)\}")


@dataclass(kw_only=True, slots=True)
class Journey:
    """One client's way through the API; remembers what answers gave it."""

    urls: Mapping[str, str]
    session: requests.Session
    known: dict[str, str] = field(default_factory=dict)

    def send(self, exchange: Mapping[str, Any]) -> requests.Response:
        """Send the request of *exchange*."""
        wanted = self._filled(exchange["request"])
        return self.session.request(
            wanted["method"],
            self.urls[wanted.get("service", "gateway")] + wanted["path"],
            headers=wanted.get("headers"),
            json=wanted.get("json"),
            data=wanted.get("text"),
            timeout=5,
        )

    def keep(self, exchange: Mapping[str, Any], answer: requests.Response) -> None:
        """Remember what later exchanges need; raises LookupError when it is not there."""
        for name, path in exchange.get("keep", {}).items():
            self.known[name] = _at(answer, path)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        return _NAME.sub(lambda found: self._name(found[1]), value) if isinstance(value, str) else value

    def _name(self, name: str) -> str:
        if name not in self.known and not name.startswith(("email", "key")):
            raise KeyError(name)
        fresh = uuid.uuid4().hex
        return self.known.setdefault(name, f"{fresh}@example.org" if name.startswith("email") else fresh)


def journeys() -> list[str]:
    """The names of all recorded journeys."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> dict[str, Any]:
    """The journey *name* as it is recorded."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def replay(name: str, urls: Mapping[str, str], session: requests.Session) -> Iterator[str]:
    """Send the requests of a journey again; yields where an answer is not what was recorded."""
    journey = Journey(urls=urls, session=session)
    for exchange in load(name)["exchanges"]:
        answer = journey.send(exchange)
        seen = shown(answer, exchange["response"]["headers"])
        yield from differences(exchange["response"], seen, exchange["name"])
        try:
            journey.keep(exchange, answer)
        except (LookupError, ValueError) as error:
            yield f"{exchange['name']}: the journey ends here, {error!r} is missing"
            return


def record(name: str, urls: Mapping[str, str], session: requests.Session) -> None:
    """Send the requests of a journey, and write their answers beside them."""
    document, journey = load(name), Journey(urls=urls, session=session)
    for exchange in document["exchanges"]:
        answer = journey.send(exchange)
        exchange["response"] = recorded(shown(answer, CONTRACT_HEADERS))
        journey.keep(exchange, answer)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def shown(answer: requests.Response, names: Iterable[str]) -> dict[str, Any]:
    """What of an answer is part of the contract."""
    kind = answer.headers.get("Content-Type", "")
    body = answer.json() if "json" in kind and answer.content else answer.text
    headers = {name: answer.headers[name] for name in names if name in answer.headers}
    return {"status": answer.status_code, "headers": headers, "body": body}


def _at(answer: requests.Response, path: str) -> str:
    """The value at a path such as ``widgets.0.id`` of the body, or ``headers.ETag``."""
    place, _, rest = path.partition(".")
    if place == "headers":
        return answer.headers[rest]
    found: Any = answer.json()
    for part in path.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return str(found)
