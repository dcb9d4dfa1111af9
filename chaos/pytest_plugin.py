"""Runs experiments as tests: every ``Experiment`` in a collected module is a test item.

Each experiment gets a fresh lab; the fixture ``lab`` is one isolated lab for each worker of
pytest-xdist, started when its first test needs it and ended with the session. The command
``pytest scenarios/ -m resilience`` leaves the same results folder as ``chaos-lab run``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from chaos.config import Config
    from chaos.experiment import Experiment
    from chaos.lab import Lab
    from chaos.processes.supervisor import Supervisor
    from chaos.results.model import Result

_FOLDER: Final = pytest.StashKey[Path]()
_LABS: Final = pytest.StashKey["_Labs"]()
_BEGAN: Final = pytest.StashKey[float]()
_WORKER_FOLDER: Final = "chaos_lab_results"


class _Refuted(Exception):  # noqa: N818  (a weakness was found: not an error of the lab)
    """An experiment that was not held, carried to pytest's report."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.says)
        self.result = result


class ExperimentItem(pytest.Item):
    """One experiment as a test."""

    def __init__(self, *, experiment: Experiment, **kwargs: Any) -> None:  # noqa: ANN401  (pytest's)
        super().__init__(**kwargs)
        self.experiment = experiment
        self.add_marker("resilience")

    def runtest(self) -> None:
        """Run it on a fresh lab."""
        from chaos.experiment import run  # noqa: PLC0415  (only sessions with experiments pay for it)
        from chaos.results.model import Verdict  # noqa: PLC0415

        with self.config.stash[_LABS].fresh() as lab:
            result = run(self.experiment, lab, _folder(self.config) / self.experiment.id)
        if result.verdict is not Verdict.HELD:
            raise _Refuted(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401  (pytest's)
        """What was refuted, with the evidence, instead of a traceback."""
        from chaos.results.model import details  # noqa: PLC0415

        if isinstance(excinfo.value, _Refuted):
            result = excinfo.value.result
            return (
                f"{result.verdict}: {result.id} {result.title}\n{result.says}\n\n{details(result)}\n\n{result.folder}"
            )
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where pytest says this item is."""
        return self.path, None, f"{self.experiment.id} {self.experiment.title}"


class _Labs:
    """This process's labs, and the one fork server under them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stack = ExitStack()

    @cached_property
    def _config(self) -> Config:
        from chaos import config  # noqa: PLC0415

        return config.load(self._root)

    @cached_property
    def _supervisor(self) -> Supervisor:
        from chaos.processes.supervisor import Supervisor  # noqa: PLC0415

        return self._stack.enter_context(Supervisor.start(self._config.root))

    def fresh(self) -> AbstractContextManager[Lab]:
        """A lab that nobody has used."""
        from chaos.lab import embedded  # noqa: PLC0415

        return embedded(self._config, self._supervisor)

    @cached_property
    def shared(self) -> Lab:
        """The lab of the whole session, made when it is first asked for."""
        return self._stack.enter_context(self.fresh())

    def close(self) -> None:
        """End them."""
        self._stack.close()


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Lab:
    """The isolated platform of this worker, on free ports; it ends with the session."""
    return pytestconfig.stash[_LABS].shared


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; a worker of pytest-xdist makes sure to die with its controller."""
    config.addinivalue_line("markers", "resilience: an experiment that breaks the platform and judges it")
    config.stash[_LABS] = _Labs(config.rootpath)
    config.stash[_BEGAN] = time.monotonic()
    if hasattr(config, "workerinput"):
        from chaos.processes.kernel import die_with_parent  # noqa: PLC0415

        die_with_parent(os.getppid())
        config.stash[_FOLDER] = Path(config.workerinput[_WORKER_FOLDER])
        return
    from chaos.errors import LabError  # noqa: PLC0415  (this module loads with every pytest)
    from chaos.guard.first import heal_leftovers  # noqa: PLC0415

    try:
        heal_leftovers(config.rootpath)
    except LabError as error:
        pytest.exit(f"chaos-lab: {error}", returncode=error.exit_code)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  (pytest-xdist's)
    """Tell a worker where results go, once experiments turn up."""
    node.workerinput[_WORKER_FOLDER] = str(_folder(node.config))


def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, obj: object) -> Any:  # noqa: ANN401  (pytest's)
    """Turn each experiment of a module into an item."""
    module = sys.modules.get("chaos.experiment")
    if module is None or not isinstance(obj, module.Experiment):
        return None
    return ExperimentItem.from_parent(collector, name=obj.id, experiment=obj)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try the lab itself before anything else, whatever shuffled the rest."""
    items.sort(key=lambda item: not (isinstance(item, ExperimentItem) and item.experiment.self_check))


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """End the lab, and let the controller finish the results folder."""
    yield
    config = session.config
    config.stash[_LABS].close()
    folder = config.stash.get(_FOLDER, None)
    if hasattr(config, "workerinput") or folder is None or not any(folder.glob("*/verdict.json")):
        return
    from chaos.report import page  # noqa: PLC0415
    from chaos.results import folder as results  # noqa: PLC0415

    found = results.load_all(folder)
    workers = getattr(config.option, "numprocesses", None) or 1
    wall_s = time.monotonic() - config.stash[_BEGAN]
    summary = results.finish(folder, found, wall_s=wall_s, workers=workers, root=config.rootpath)
    page.write(folder, page.load(found), summary)
    results.point_latest(folder)
    results.publish(folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the report."""
    folder = terminalreporter.config.stash.get(_FOLDER, None)
    if folder and (folder / "report.html").exists():
        terminalreporter.write_line(f"resilience report: {folder / 'report.html'}")


def _folder(config: pytest.Config) -> Path:
    """The results folder of this session; its name is settled when it is first asked for."""
    from chaos import config as configuration  # noqa: PLC0415
    from chaos.errors import LabError  # noqa: PLC0415
    from chaos.results import folder as results  # noqa: PLC0415

    if _FOLDER not in config.stash:
        try:
            root = config.rootpath / configuration.load(config.rootpath).settings.results
        except LabError:
            root = config.rootpath / "results"
        config.stash[_FOLDER] = root / results.new_name()
    return config.stash[_FOLDER]
