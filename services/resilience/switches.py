"""Safeguards that can be switched off by name, to see what they are good for."""

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase


class UnknownSafeguardError(ValueError):
    """A name that no safeguard has; the message lists what was meant, perhaps."""


class Switches:
    """Which safeguards are on. Asking for one that was never declared is a bug, and says so."""

    def __init__(self, known: Iterable[str], off: Iterable[str] = ()) -> None:
        """Take the declared names and those that are switched off."""
        self.known = frozenset(known)
        self.off = frozenset(off)
        self.asked: set[str] = set()

    def on(self, name: str) -> bool:
        """Tell whether the safeguard *name* is on."""
        if name not in self.known:
            message = f"safeguard {name!r} is not declared"
            raise UnknownSafeguardError(message)
        self.asked.add(name)
        return name not in self.off


def parse(text: str, catalogue: Iterable[str], own: Iterable[str]) -> Switches:
    """Read a comma separated list of names and globs.

    catalogue: the names of all services; a pattern that fits none of them is refused.
    own: the names this service listens to; the others are left to whom they belong.
    """
    catalogue, own = frozenset(catalogue), frozenset(own)
    patterns = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [pattern for pattern in patterns if not _matching(pattern, catalogue)]
    if unknown:
        raise UnknownSafeguardError("; ".join(_complain(name, catalogue) for name in unknown))
    return Switches(own, (name for pattern in patterns for name in _matching(pattern, own)))


def _matching(pattern: str, names: frozenset[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _complain(pattern: str, catalogue: frozenset[str]) -> str:
    near = difflib.get_close_matches(pattern, sorted(catalogue), n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(sorted(catalogue))}"
    return f"no safeguard is called {pattern!r}; {hint}"
