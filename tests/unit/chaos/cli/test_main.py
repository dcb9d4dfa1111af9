"""Exit code 1 says that a weakness was found, and nothing else does."""

import pytest

from chaos import cli


def test_an_error_of_its_own_is_not_taken_for_a_weakness(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, with where it came from."""

    def broken() -> None:
        msg = "never thought of"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 3
    assert "ZeroDivisionError: never thought of" in capsys.readouterr().err
