"""What the services say of themselves, OpenAPI documents and metrics: as it is, and as it was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.support.stack import Platform

SERVICES: Final = ("gateway", "security", "widget_core")
WITH_METRICS: Final = (*SERVICES, "orb_core")
V1: Final = Path(__file__).parent / "v1"
METRICS: Final = V1 / "metrics" / "names.json"


def urls(platform: Platform) -> Mapping[str, str]:
    """Where each service answers."""
    return {name: getattr(platform, name) for name in WITH_METRICS}


def path(service: str) -> Path:
    """The file that the document of *service* is recorded in."""
    return V1 / "openapi" / f"{service}.json"


def recorded(service: str) -> dict[str, Any]:
    """The document that was promised."""
    found: dict[str, Any] = json.loads(path(service).read_text(encoding="utf-8"))
    return found


def fetch(url: str, session: requests.Session) -> dict[str, Any]:
    """The document that the service at *url* shows now."""
    answer = session.get(f"{url}/openapi.json", timeout=5)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def metrics(url: str, session: requests.Session) -> dict[str, list[str]]:
    """The labels of every metric that the service at *url* shows, by the name of its samples."""
    answer = session.get(f"{url}/metrics", timeout=5)
    answer.raise_for_status()
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples if not sample.name.endswith("_created")]
    return {sample.name: sorted(sample.labels) for sample in samples}
