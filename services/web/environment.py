"""Settings from the environment: every problem is collected, and told at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from services import plants, safeguards
from services.profiles import PROFILES, Profile
from services.resilience.switches import Switches, UnknownSafeguardError, parse

T = TypeVar("T")
MAX_PORT = 65535
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class ConfigurationError(Exception):
    """The environment is not usable; the message has one problem per line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Common:
    """What every service is told."""

    service: str
    listen: Address
    profile: Profile
    log_level: str
    switches: Switches


class Environment:
    """Read variables; call `check` at the end."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Take the variables; nothing is read yet."""
        self._variables = variables
        self._problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        """Return a text that is not empty."""
        value = self._variables.get(name, default)
        return value or self._reject(name, value, "something", default)

    def secret(self, name: str, default: str = "") -> str:
        """Return a text that may be empty; its value is never shown."""
        return self._variables.get(name, default)

    def port(self, name: str, default: int) -> int:
        """Return a TCP port."""
        text = self._variables.get(name, str(default))
        if text.isascii() and text.isdigit() and 0 < int(text) <= MAX_PORT:
            return int(text)
        return self._reject(name, text, f"a port from 1 to {MAX_PORT}", default)

    def number(self, name: str, default: float) -> float:
        """Return a number above zero."""
        text = self._variables.get(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        return value if value > 0 else self._reject(name, text, "a number above 0", default)

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """Return one of *choices*."""
        value = self._variables.get(name, default)
        return value if value in choices else self._reject(name, value, " or ".join(choices), default)

    def url(self, name: str, default: str) -> str:
        """Return an http URL without a path."""
        value = self._variables.get(name, default).rstrip("/")
        return self._parsed(name, value, "an URL such as http://127.0.0.1:8081", default, _is_url)

    def address(self, name: str, default: str) -> Address:
        """Return `host:port`."""
        value = self._variables.get(name, default)
        host, _, port = self._parsed(name, value, "host:port", default, _is_address).rpartition(":")
        return Address(host=host, port=int(port))

    def common(self, service: str, port: int) -> Common:
        """Return what every service is told; *port* is its default."""
        profile = self.one_of("SERVICE_PROFILE", tuple(PROFILES), "production")
        quiet = "WARNING" if profile == "lab" else "INFO"
        self._problems += plants.plant(self._variables.get(plants.VARIABLE, ""), profile)
        return Common(
            service=service,
            listen=Address(host=self.text("HOST", "127.0.0.1"), port=self.port("PORT", port)),
            profile=PROFILES[profile],
            log_level=self.one_of("LOG_LEVEL", LEVELS, quiet),
            switches=self._switches(service, profile),
        )

    def complain(self, problem: str) -> None:
        """Add a problem that the caller found."""
        self._problems.append(problem)

    def check(self) -> None:
        """Raise `ConfigurationError` with every problem that was met."""
        if self._problems:
            raise ConfigurationError("\n".join(self._problems))

    def _switches(self, service: str, profile: str) -> Switches:
        text = self._variables.get("RESILIENCE_DISABLE", "")
        own = safeguards.of_service(service)
        if text and profile != "lab":
            self._problems.append("RESILIENCE_DISABLE is only for SERVICE_PROFILE=lab")
        try:
            return parse(text, safeguards.catalogue(), own)
        except UnknownSafeguardError as error:
            self._problems.append(f"RESILIENCE_DISABLE: {error}")
            return Switches(own)

    def _parsed(self, name: str, value: str, wanted: str, default: str, good: Callable[[str], bool]) -> str:
        return value if good(value) else self._reject(name, value, wanted, default)

    def _reject(self, name: str, value: str, wanted: str, default: T) -> T:
        self._problems.append(f"{name} is {value!r}, expected {wanted}, for example {default!r}")
        return default


def _is_url(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.path


def _is_address(value: str) -> bool:
    host, _, port = value.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT
