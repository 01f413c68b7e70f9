"""Further nodes of a Ray cluster on this machine, which may die."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from tests.slow.flow_command import Shell, wait_until
from tests.slow.ray_cluster import START_TIMEOUT_S, Cluster, ray_start


@dataclass(frozen=True)
class Node:
    """Node that has joined; `shell` tells its processes from those of the head."""

    shell: Shell
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """Kill all processes at once, so that none sees another one die."""
        processes = {*self.shell.processes(), *self.shell.workers()}
        for send in (psutil.Process.suspend, psutil.Process.kill):
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    send(process)
        self.process.wait()


@contextmanager
def joined_node(cluster: Cluster, num_cpus: int) -> Iterator[Node]:
    """Start another node of a cluster; it is killed at the end."""
    shell = cluster.shell.twin()
    home = cluster.home / shell.mark[:4]
    log = home.with_suffix(".log")
    options = {"address": cluster.join_address, "temp-dir": home, "num-cpus": num_cpus}
    node = Node(shell, shell.start(*ray_start(options), log=log))
    try:
        up = wait_until(lambda: "Ray runtime started" in log.read_text(), timeout_s=START_TIMEOUT_S)
        assert up, f"{log.read_text()}\n{cluster.control_log()}"
        yield node
    finally:
        node.kill()
