"""Interleaved timing: every worker takes one step in turn, so that what disturbs one disturbs all.

Must not: know what a worker trains.
"""

import logging
import multiprocessing
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple, Protocol

from benchmarks.job import Job
from benchmarks.worker import STEP, STOP, Memory, serve, set_environment

log = logging.getLogger(__name__)


class WorkerDiedError(RuntimeError):
    """A worker ended before it answered; its own traceback says why."""


class Stepper(Protocol):
    """Anything that can be asked for one step."""

    def step(self) -> float:
        """Take one step; returns its seconds."""
        ...


class Worker:
    """A contestant in its own process."""

    def __init__(self, job: Job) -> None:
        """Start the process and wait until its model is built."""
        set_environment()
        context = multiprocessing.get_context("spawn")
        self.name = job.contestant
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, job), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process closes the pipe
        self._receive()

    def step(self) -> float:
        """Seconds of one step."""
        self.connection.send(STEP)
        return self._receive()

    def stop(self) -> Memory:
        """End the training; returns the memory it took."""
        self.connection.send(STOP)
        memory = self._receive()
        self.process.join()
        return memory

    def _receive(self) -> Any:
        try:
            return self.connection.recv()
        except EOFError:
            raise WorkerDiedError(
                f"The worker of {self.name!r} ended before it answered; the lines above say why."
            ) from None


class Measured(NamedTuple):
    """Step times and memory of one job."""

    seconds: list[float]
    memory: Memory

    @property
    def median_s(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)


def take_turns(
    steppers: Mapping[str, Stepper], n_warmup: int, n_rounds: int
) -> dict[str, list[float]]:
    """Seconds of `n_rounds` steps of each, one step each a round, after `n_warmup` rounds uncounted.

    The order is drawn anew in every round: what a step costs depends on who has been in the caches and
    has given memory back just before it.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steppers}
    for turn in range(n_warmup + n_rounds):
        for name in Random(turn).sample(list(steppers), len(steppers)):
            taken = steppers[name].step()
            if turn >= n_warmup:
                seconds[name].append(taken)
    return seconds


def measure(jobs: Mapping[str, Job], n_warmup: int, n_rounds: int) -> dict[str, Measured]:
    """Step times and memory of all jobs, interleaved."""
    workers = {name: Worker(job) for name, job in jobs.items()}
    seconds = take_turns(workers, n_warmup, n_rounds)
    measured = {name: Measured(seconds[name], worker.stop()) for name, worker in workers.items()}
    for name, found in measured.items():
        log.info("%s: %.1f ms a step", name, 1000 * found.median_s)
    return measured


def planned_steps(n_warmup: int, n_rounds: int) -> int:
    """Steps a contestant must plan for so that its loop does not end before it is stopped."""
    return n_warmup + n_rounds + 1


def jobs_of(contestants: Iterable[str], job: Job) -> dict[str, Job]:
    """The same job for every contestant."""
    return {name: replace(job, contestant=name) for name in contestants}
