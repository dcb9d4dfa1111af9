"""Functions for the fork server to run."""

import os
import sys


def show() -> None:
    """Print what this process was given."""
    print(os.environ["WHO"], sys.argv, os.getcwd())  # noqa: PTH109


def fail() -> None:
    """Raise."""
    msg = "on purpose"
    raise RuntimeError(msg)


def leave() -> None:
    """Exit with a status."""
    sys.exit(7)


def refuse() -> None:
    """Exit with a message."""
    sys.exit("no")
