"""Runs experiments side by side, each on a fresh lab of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from chaos import catalogue
from chaos.config import Config
from chaos.errors import LabError
from chaos.experiment import Experiment, run
from chaos.guard import halt
from chaos.lab import embedded
from chaos.processes.kernel import die_with_parent
from chaos.processes.supervisor import Supervisor
from chaos.results import folder as results
from chaos.results.model import Result
from chaos.stacks import edges, template, toxiproxy
from chaos.stacks.embedded import preload

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One run of an experiment.

    Attributes:
        experiment: which.
        disable: safeguards that the platform runs without; None for what the environment says.
    """

    experiment: Experiment
    disable: str | None = None

    @property
    def name(self) -> str:
        """Of its folder, unique within a run."""
        return f"{self.experiment.id}@{self.disable}" if self.disable else self.experiment.id


@dataclass(frozen=True, slots=True)
class News:
    """What a worker tells: a phase began, an experiment is done, or it could not be run."""

    kind: Literal["phase", "done", "error"]
    id: str
    text: str = ""
    exit_code: int = 0


def default_workers(experiments: int) -> int:
    """One worker for each processor core, and none without work."""
    return max(1, min(len(os.sched_getaffinity(0)), experiments))


def run_all(
    jobs: Sequence[Job],
    config: Config,
    folder: Path,
    *,
    workers: int,
    say: Say,
    listen: Callable[[News], None],
) -> list[Result]:
    """Run *jobs* on *workers* labs, the longest first, and return their results, by id.

    Experiments that try the lab itself run before the others.

    Args:
        folder: of the run; each job writes into its own folder below.
        say: told in one line each what takes long before the first experiment.
        listen: told what the workers do.

    Raises:
        LabError: an experiment could not be run; the others have been, and their results are kept.
    """
    halt.refuse(config.root)
    if not edges.given_url(config.settings.allow_hosts):
        toxiproxy.provide(say)
    with Supervisor.start(config.root) as supervisor:
        if config.settings.postgres:
            template.provide(config, supervisor, say)
        say(f"starting {workers} lab{'s' if workers > 1 else ''}")
        crew = _Crew(config, supervisor.path, folder, workers)
        try:
            with suppress(LabError):  # meanwhile the workers start; one that cannot start its lab says why
                preload(config, supervisor)
            failures = crew.work(sorted(jobs, key=_urgency), listen)
        finally:
            crew.dismiss()
    if failures:
        worst = max(failures, key=lambda news: news.exit_code)
        error = LabError("\n".join(f"{news.id}: {news.text}" for news in failures))
        error.exit_code = worst.exit_code  # type: ignore[misc]  # this one error stands for several
        raise error
    return results.load_all(folder)


class _Crew:
    """The worker processes and what each is doing."""

    def __init__(self, config: Config, supervisor: Path, folder: Path, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._members: dict[Connection, BaseProcess] = {}
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(config, supervisor, folder, theirs, os.getpid()), daemon=True)
            process.start()
            theirs.close()
            self._members[ours] = process

    def work(self, jobs: Sequence[Job], listen: Callable[[News], None]) -> list[News]:
        """Hand out *jobs* until all are done; returns the failures."""
        waiting = deque(jobs)
        busy: dict[Connection, str] = {}
        failures = []
        for connection in list(self._members):
            _hand_out(waiting, connection, busy)
        while busy:
            ready = wait(list(busy))
            for connection in [c for c in busy if c in ready]:
                news = _receive(connection, busy[connection])
                listen(news)
                if news.kind == "phase":
                    continue
                del busy[connection]
                if news.kind == "error":
                    failures.append(news)  # that worker has lost its lab and ends
                else:
                    _hand_out(waiting, connection, busy)
        code = max((news.exit_code for news in failures), default=LabError.exit_code)
        failures += [News("error", job.name, "no worker was left to run it", code) for job in waiting]
        return failures

    def dismiss(self) -> None:
        """End the workers."""
        for connection, process in self._members.items():
            connection.close()
            process.terminate()
            process.join(timeout=5)


def _urgency(job: Job) -> tuple[bool, float]:
    return not job.experiment.self_check, -job.experiment.length_s


def _hand_out(waiting: deque[Job], connection: Connection, busy: dict[Connection, str]) -> None:
    if waiting:
        job = waiting.popleft()
        try:
            connection.send((job.experiment.id, job.disable, job.name))
        except OSError:
            waiting.appendleft(job)
        else:
            busy[connection] = job.name


def _receive(connection: Connection, doing: str) -> News:
    try:
        news: News = connection.recv()
    except EOFError:
        return News("error", doing, "its worker process ended unexpectedly", 3)
    return news


def _tell(connection: Connection, doing: str, phase: str) -> None:
    connection.send(News("phase", doing, phase))


def _work(config: Config, supervisor: Path, folder: Path, connection: Connection, parent: int) -> None:
    """A worker: one experiment after another, each on a fresh lab."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    doing = ""
    try:
        with suppress(EOFError):
            wanted, disable, doing = connection.recv()
            experiments = catalogue.load(config)
            with Supervisor(supervisor) as processes:
                while True:
                    say = partial(_tell, connection, doing)
                    say("starting the lab")
                    with embedded(config, processes, disable=disable) as lab:
                        result = run(experiments[wanted], lab, folder / doing, say)
                    connection.send(News("done", doing, result.verdict))
                    wanted, disable, doing = connection.recv()
    except LabError as error:
        connection.send(News("error", doing, str(error), error.exit_code))
    except Exception as error:  # noqa: BLE001  (a scenario's own code may raise anything)
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
        connection.send(News("error", doing, text, LabError.exit_code))
