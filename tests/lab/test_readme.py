"""What the README shows is true."""

import re
from pathlib import Path

import pytest

from tests.lab.test_lab import lab

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()

pytestmark = pytest.mark.integration


def test_the_example_is_the_file_that_it_names() -> None:
    """Not a line differs."""
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert block == (ROOT / "examples" / "redis_refused.py").read_text()


@pytest.mark.alone
@pytest.mark.parametrize(("disabled", "status"), [("", 0), ("widget-core.redis.attempt_timeout", 1)])
def test_the_example_holds_and_is_refuted_without_its_safeguard(tmp_path: Path, disabled: str, status: int) -> None:
    """As the two commands under it say."""
    done = lab(
        ROOT, "run", "EX-1", "--scenarios", "examples", "--results", str(tmp_path), RESILIENCE_DISABLE=disabled,
    )  # fmt: skip
    assert done.returncode == status, done.stderr


def test_every_file_that_the_documents_name_exists() -> None:
    """Links and paths in README and ARCHITECTURE lead somewhere."""
    text = README + (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"\]\(([\w./-]+)\)", text)) | set(
        re.findall(r"`((?:chaos|docs|tests|examples)/[\w./-]+\.\w+)`", text)
    )
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
