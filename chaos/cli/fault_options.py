"""Faults as commands: every simple fault of ``chaos.faults``, its options made from its fields."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from chaos import faults
from chaos.faults.fault import Fault

_SIMPLE = (bool, int, float, str)
_ATTRIBUTE = re.compile(r"^ {4,8}(\w+): (.+(?:\n {9,}.+)*)", re.MULTILINE)


def all_faults() -> dict[str, type[Any]]:
    """The faults that can be written on a command line, by what they are called there."""
    modules = (importlib.import_module(f"{faults.__name__}.{m.name}") for m in pkgutil.iter_modules(faults.__path__))
    found = (fault for module in modules for fault in _in(module))
    return {_dashed(fault.__name__): fault for fault in sorted(found, key=lambda fault: fault.__name__)}


def parameters(fault: type[Any]) -> list[inspect.Parameter]:
    """The fields of *fault* as keyword parameters that Typer makes options of."""
    hints, says = get_type_hints(fault), _attributes(fault)
    return [_parameter(field, hints[field.name], says.get(field.name, "")) for field in dataclasses.fields(fault)]


def command(fault: type[Any], act: Callable[..., None], common: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """A function for Typer: the options of *fault* and the *common* ones; calls ``act(fault, **common)``."""
    own = parameters(fault)

    def run(**given: Any) -> None:  # noqa: ANN401  (whatever the options are)
        made: Fault = fault(**{parameter.name: given.pop(parameter.name) for parameter in own})
        act(made, **given)

    everything = [*own, *common]
    run.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]  # Typer reads it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in everything}
    run.__doc__ = inspect.cleandoc(fault.__doc__ or "").partition("\n\nAttributes:")[0]
    return run


def _in(module: ModuleType) -> Iterator[type[Any]]:
    for name, value in vars(module).items():
        is_fault = inspect.isclass(value) and value.__module__ == module.__name__ and dataclasses.is_dataclass(value)
        if is_fault and not name.startswith("_") and isinstance(value, type) and hasattr(value, "changes"):
            hints = get_type_hints(value)
            if all(_is_simple(hints[field.name]) for field in dataclasses.fields(value)):
                yield value


def _required(kind: Any) -> Any:  # noqa: ANN401  (a type or an alias)
    """*kind* without its "or None"."""
    kinds = [one for one in get_args(kind) if one is not NoneType] if isinstance(kind, UnionType) else [kind]
    return kinds[0] if len(kinds) == 1 else kind


def _is_simple(kind: Any) -> bool:  # noqa: ANN401  (a type or an alias)
    kind = _required(kind)
    if get_origin(kind) is Literal:
        return True
    return inspect.isclass(kind) and issubclass(kind, (*_SIMPLE, enum.Enum))


def _parameter(field: dataclasses.Field[Any], kind: Any, says: str) -> inspect.Parameter:  # noqa: ANN401
    required = _required(kind)
    name = f"--{field.name.replace('_', '-')}"
    default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
    option = typer.Option(f"{name}/--no-{name[2:]}" if required is bool else name, help=says)
    if inspect.isclass(required) and issubclass(required, enum.Enum):
        option = typer.Option(name, help=says, parser=_reader(required), metavar="NAME")
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


def _reader(kind: type[enum.Enum]) -> Callable[[Any], enum.Enum]:
    def read(value: Any) -> enum.Enum:  # noqa: ANN401  (Typer hands in the default too)
        if isinstance(value, kind):
            return value
        try:
            return kind[str(value)]
        except KeyError:
            msg = f"{value!r} is none of {', '.join(member.name for member in kind)}"
            raise typer.BadParameter(msg) from None

    return read


def _attributes(fault: type[Any]) -> dict[str, str]:
    """What the docstring's section "Attributes" says of each field."""
    found = _ATTRIBUTE.findall((fault.__doc__ or "").partition("Attributes:")[2])
    return {name: _sentence(text) for name, text in found}


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line[0].upper() + line[1:]


def _dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
