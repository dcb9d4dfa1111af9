"""Finds the experiments of a project: every ``Experiment`` in the modules of its scenarios folder."""

from __future__ import annotations

import fnmatch
import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from chaos.config import Config
from chaos.errors import ConfigError, UnknownNameError
from chaos.experiment import Experiment


def load(config: Config) -> dict[str, Experiment]:
    """Every experiment by id; those that try the lab itself come first.

    Raises:
        ConfigError: the folder is missing, a module cannot be imported, or an id is taken twice.
    """
    folder = config.root / config.settings.scenarios
    found: dict[str, Experiment] = {}
    for experiment in _experiments(folder):
        if found.setdefault(experiment.id, experiment) is not experiment:
            raise ConfigError(str(folder), [f"two experiments have the id {experiment.id!r}"])
    ordered = sorted(found.values(), key=lambda e: (not e.self_check, e.id))
    return {experiment.id: experiment for experiment in ordered}


def select(experiments: dict[str, Experiment], globs: Iterable[str]) -> list[Experiment]:
    """Those whose id matches one of *globs*, in the catalogue's order; all when there are none.

    Raises:
        UnknownNameError: a glob matches no experiment.
    """
    wanted = set()
    for glob in globs:
        if not (matching := fnmatch.filter(experiments, glob)):
            raise UnknownNameError("scenario", glob, experiments)
        wanted.update(matching)
    return [e for e in experiments.values() if not wanted or e.id in wanted]


def _experiments(folder: Path) -> Iterator[Experiment]:
    if not folder.is_dir():
        raise ConfigError(str(folder), ["is not a folder: name the one with your experiments in scenarios = …"])
    if str(folder.parent) not in sys.path:
        sys.path.insert(0, str(folder.parent))
    for path in sorted(folder.glob("*.py")):
        module = _imported(folder, path)
        yield from (value for value in vars(module).values() if isinstance(value, Experiment))


def _imported(folder: Path, path: Path) -> ModuleType:
    name = folder.name if path.stem == "__init__" else f"{folder.name}.{path.stem}"
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ConfigError(str(path), [f"cannot be imported: {type(error).__name__}: {error}"]) from error
