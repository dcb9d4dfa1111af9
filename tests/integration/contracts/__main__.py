"""Record the contracts anew: ``python -m tests.integration.contracts record``.

Starts a platform for each journey, sends the requests in ``v1/*.json`` and writes the answers beside them; then
the OpenAPI documents into ``v1/openapi/`` and the names of metrics into ``v1/metrics/``. Look at the difference
before you commit it: what was promised is in git.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests

from chaos import config
from chaos.processes.supervisor import Supervisor
from tests.integration.contracts import documents, exchanges
from tests.integration.support import stack

ROOT: Final = Path(__file__).parent.parent.parent.parent
USAGE: Final = "usage: python -m tests.integration.contracts record"


def main() -> None:
    """Record everything."""
    if sys.argv[1:] != ["record"]:
        sys.exit(f"{USAGE}\n(got {sys.argv[1:]})")
    for name in exchanges.journeys():
        with running() as (urls, session):  # each journey begins on an empty platform
            exchanges.record(name, urls, session)
    with running() as (urls, session):
        for service in documents.SERVICES:
            write(documents.path(service), documents.fetch(urls[service], session))
        found = {service: documents.metrics(urls[service], session) for service in documents.WITH_METRICS}
        write(documents.METRICS, found)


@contextmanager
def running() -> Iterator[tuple[Mapping[str, str], requests.Session]]:
    """A fresh platform: where its services are, and a session to talk to them."""
    with (
        Supervisor.start(ROOT) as supervisor,
        stack.own(config.load(ROOT), supervisor, {}) as platform,
        requests.Session() as session,
    ):
        session.trust_env = False
        yield documents.urls(platform), session


def write(path: Path, document: object) -> None:
    """Write *document* as JSON that is easy to compare."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
