"""What a scheduler must have before jobs are given to it: asked once, before the first job.

Without this every job would be refused in turn, as often as the profile retries it, and each time in the
scheduler's own words. Must not: submit a job, or know how a job is run.
"""

import shutil
import subprocess
from collections.abc import Iterable
from typing import Any, NamedTuple

from snakemake.exceptions import WorkflowError

SLURM = "slurm"
PROFILE = "profiles/slurm"
ASK_NODES = ("sinfo", "--noheader", "--Node", "--format=%R|%c|%m|%G")
"""One line per partition and node: partition, cores, memory in MB, generic resources."""
PATIENCE_SECONDS = 60


class Wanted(NamedTuple):
    """What a job asks for."""

    rule: str
    partition: str | None
    """None: the scheduler's default."""
    threads: int
    mem_mb: int
    gpus: int


class Node(NamedTuple):
    """What a node offers."""

    partition: str
    threads: int
    mem_mb: int
    has_gpu: bool


def require_resources(workflow: Any) -> None:
    """Stop before the first job if the scheduler has not what the jobs ask for.

    Raises:
        WorkflowError: with the reason.
    """
    jobs = (wanted_of(job) for job in workflow.dag.needrun_jobs() if not job.is_local)
    if message := refusal(workflow.executor_plugin.name, jobs):
        raise WorkflowError(message)


def wanted_of(job: Any) -> Wanted:
    """What a job of Snakemake asks for in its first attempt."""
    numbers = {name: int(job.resources.get(name) or 0) for name in ("mem_mb", "gpu")}
    partition = job.resources.get("slurm_partition")
    named = None if partition is None else str(partition)
    return Wanted(job.rule.name, named, job.threads, numbers["mem_mb"], numbers["gpu"])


def refusal(executor: str, jobs: Iterable[Wanted]) -> str | None:
    """Why this scheduler cannot run the jobs; None if it can, or is none that this module knows."""
    if executor != SLURM:
        return None
    if shutil.which("sbatch") is None or shutil.which("sinfo") is None:
        return (
            "The profile submits jobs to SLURM, but this machine has no sbatch and sinfo. Run the same "
            f"command on a login node of the cluster, or without {PROFILE} to compute here."
        )
    try:
        asked = subprocess.run(
            ASK_NODES, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        return (
            f"SLURM does not answer: {said} No job was submitted. Ask for its state with `sinfo`, and "
            "run the same command again."
        )
    nodes = [_node(line) for line in asked.stdout.splitlines() if line.count("|") == 3]
    return next(filter(None, (_why_not(job, nodes) for job in jobs)), None)


def _node(line: str) -> Node:
    partition, threads, mem_mb, generic = line.split("|")
    return Node(partition, _number(threads), _number(mem_mb), "gpu" in generic)


def _number(text: str) -> int:
    return int("".join(filter(str.isdigit, text)) or 0)  # sinfo writes 128+ for different nodes


def _why_not(job: Wanted, nodes: list[Node]) -> str | None:
    partitions = sorted({node.partition for node in nodes})
    if job.partition is not None and job.partition not in partitions:
        return (
            f"SLURM has no partition {job.partition!r}; it has {', '.join(partitions) or 'none'}. No job "
            "was submitted. Give one of these with --default-resources slurm_partition=NAME."
        )
    within = [node for node in nodes if job.partition in (None, node.partition)]
    if job.gpus and not any(node.has_gpu for node in within):
        return (
            f"Rule {job.rule} asks for a GPU, because the study's `device` is CUDA, but {_place(job)} has "
            "none (sinfo shows no generic resource gpu). No job was submitted. Name a partition with GPUs, or "
            "set `device: cpu`."
        )
    if not any(node.threads >= job.threads and node.mem_mb >= job.mem_mb for node in within):
        largest = max(within, key=lambda node: node.mem_mb, default=Node("", 0, 0, False))
        return (
            f"Rule {job.rule} asks for {job.threads} cores and {job.mem_mb:,} MB, but the largest node of "
            f"{_place(job)} has {largest.threads} cores and {largest.mem_mb:,} MB. No job was submitted. Lower "
            "threads, batch sizes or train.n_latents, name another partition, or, if less suffices, say "
            f"--set-resources {job.rule}:mem_mb=NUMBER."
        )
    return None


def _place(job: Wanted) -> str:
    return "SLURM" if job.partition is None else f"the partition {job.partition!r}"
