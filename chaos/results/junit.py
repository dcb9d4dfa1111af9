"""A run as JUnit XML: refuted is a failure, invalid and inconclusive are errors.

The form that Jenkins, GitLab, Azure and pytest agree on: ``testsuites`` around one ``testsuite``
with ``properties``, the cases, ``system-out`` and ``system-err``, in this order.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from chaos.results.model import Result, Verdict, details

_ERRORS: Final = frozenset({Verdict.INVALID, Verdict.INCONCLUSIVE})
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def junit(results: Sequence[Result], *, wall_s: float, ended: datetime, properties: Mapping[str, str]) -> str:
    """The document as text."""
    counts = {
        "name": "resilience",
        "tests": str(len(results)),
        "failures": str(sum(r.verdict is Verdict.REFUTED for r in results)),
        "errors": str(sum(r.verdict in _ERRORS for r in results)),
        "time": f"{wall_s:.3f}",
    }
    root = ET.Element("testsuites", counts)
    stamp = f"{ended:%Y-%m-%dT%H:%M:%S}"
    suite = ET.SubElement(root, "testsuite", counts | {"timestamp": stamp, "hostname": "localhost"})
    listed = ET.SubElement(suite, "properties")
    for name, value in properties.items():
        ET.SubElement(listed, "property", name=_clean(name), value=_clean(value))
    for result in results:
        suite.append(_case(result))
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _case(result: Result) -> ET.Element:
    name = _clean(f"{result.id} {result.title}")
    case = ET.Element("testcase", classname="resilience", name=name, time=f"{result.wall_s:.3f}")
    if result.verdict is not Verdict.HELD:
        tag = "failure" if result.verdict is Verdict.REFUTED else "error"
        trouble = ET.SubElement(case, tag, message=_clean(result.says), type=result.verdict)
        trouble.text = _clean(details(result))
    return case


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
