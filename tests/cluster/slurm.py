"""A real SLURM on this machine: one controller, one node, in a folder of its own.

    apt-get install --no-install-recommends slurm-wlm munge      # Debian

Memory limits are enforced by SLURM itself, which looks at each job every second (`OverMemoryKill`):
control groups cannot be had in every container. Needs root. Must not: touch the system's own SLURM.
"""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

NEEDED = (
    "munged",
    "slurmctld",
    "slurmd",
    "sbatch",
    "squeue",
    "scancel",
    "scontrol",
    "sinfo",
    "srun",
)
NODE, PARTITION = "localhost", "debug"
PATIENCE_SECONDS = 60.0
CONF = """\
ClusterName=tests
SlurmctldHost={node}
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
ReturnToService=2
SlurmdTimeout=300
KillWait=3
MinJobAge=86400
JobRequeue=1
SchedulerParameters=batch_sched_delay=1,sched_interval=2,requeue_delay=1
NodeName={node} CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName={partition} Nodes={node} Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=500
"""


def missing() -> list[str]:
    """What this machine lacks for a SLURM of its own."""
    programs = [name for name in NEEDED if shutil.which(name) is None]
    return programs if os.geteuid() == 0 else [*programs, "root"]


class Slurm:
    """A running SLURM; `env` is what its clients need."""

    def __init__(self, folder: Path, *, memory: int = 12000) -> None:
        self.folder = folder.resolve()
        self.cpus = os.cpu_count() or 1
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.conf = self.folder / "slurm.conf"
        controller, daemon = _free_ports(2)
        self.conf.write_text(
            CONF.format(
                node=NODE, partition=PARTITION, folder=self.folder, cpus=self.cpus, memory=memory,
                controller=controller, daemon=daemon,
            )
        )  # fmt: skip
        self.env = {"SLURM_CONF": str(self.conf), "PATH": self._path_with_srun()}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Slurm":
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        places = {
            "socket": "socket",
            "key-file": "key",
            "log-file": "log",
            "pid-file": "pid",
            "seed-file": "seed",
        }
        options = [f"--{name}={self.folder}/munge.{suffix}" for name, suffix in places.items()]
        self._start("munged", "--foreground", "--force", *options)
        self._until((self.folder / "munge.socket").exists, "munged does not start")
        self._start("slurmctld", "-D", "-i", "-f", str(self.conf))
        self._start("slurmd", "-D", "-N", NODE, "-f", str(self.conf))
        self._until(lambda: "idle" in self.state(), "the node does not come up")
        return self

    def __exit__(self, *_: object) -> None:
        self.call("scancel", "--user=root", ok=False)
        self._until(lambda: not self.jobs(), "jobs do not end", ok=False)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def call(self, *words: str, ok: bool = True) -> str:
        """Output of a client of SLURM."""
        done = subprocess.run(
            words, env={**os.environ, **self.env}, text=True, check=ok, capture_output=True
        )
        return done.stdout

    def state(self) -> str:
        """State of the node, such as idle, mixed, drained or down."""
        return self.call("sinfo", "-h", "-n", NODE, "-o", "%T", ok=False).strip()

    def set_node(self, state: str) -> None:
        """Drain, down or resume the node."""
        reason = [] if state == "resume" else ["reason=test"]
        self.call("scontrol", "update", f"nodename={NODE}", f"state={state}", *reason)

    def jobs(self, *states: str) -> dict[str, str]:
        """The comment, which names rule and wildcards, of every job in one of the states (default: all
        that have not ended), by its number."""
        chosen = [f"--states={','.join(states)}"] if states else []
        said = self.call("squeue", "-h", *chosen, "-o", "%i %k", ok=False)
        return dict(line.split(" ", 1) for line in said.splitlines() if " " in line)

    def details(self, job: str) -> dict[str, str]:
        """What SLURM knows of a job; empty once it has forgotten it."""
        said = self.call("scontrol", "-o", "show", "job", job, ok=False)
        return dict(word.split("=", 1) for word in said.split() if "=" in word)

    def silent(self) -> dict[str, str]:
        """What clients need to ask a controller that is not there."""
        conf = self.folder / "silent.conf"
        text = self.conf.read_text()
        (free,) = _free_ports(1)
        conf.write_text(re.sub(r"^SlurmctldPort=.*", f"SlurmctldPort={free}", text, flags=re.M))
        return self.env | {"SLURM_CONF": str(conf)}

    def _path_with_srun(self) -> str:
        """PATH with an `srun` that knows our configuration: the plugin hides SLURM_CONF from it."""
        shim = self.folder / "bin/srun"
        shim.parent.mkdir(exist_ok=True)
        real = shutil.which("srun")
        shim.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {real} "$@"\n')
        shim.chmod(0o755)
        return f"{shim.parent}{os.pathsep}{os.environ['PATH']}"

    def _start(self, *words: str) -> None:
        with (self.folder / f"{words[0]}.said").open("wb") as stream:
            self._daemons.append(
                subprocess.Popen(
                    words, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL,
                    stdout=stream, stderr=stream, start_new_session=True,
                )
            )  # fmt: skip

    def _until(self, holds: Callable[[], bool], complaint: str, *, ok: bool = True) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if time.monotonic() > end:
                if not ok:
                    return
                said = "".join(p.read_text()[-1500:] for p in sorted(self.folder.glob("*.log")))
                raise RuntimeError(f"{complaint}:\n{said}")
            time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
