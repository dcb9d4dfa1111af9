"""What every command line tells of itself."""

from importlib import metadata

from typer.testing import CliRunner

from chaos.cli import app


def test_it_says_its_version() -> None:
    """The installed one."""
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"chaos-lab {metadata.version('chaos-lab')}\n")
