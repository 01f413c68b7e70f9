"""Further nodes of a Ray cluster on this machine, which may die."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from tests.slow.flow_command import Shell
from tests.slow.ray_cluster import Cluster, ray_start, start_node


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
    options = {"address": cluster.join_address, "temp-dir": home, "num-cpus": num_cpus}
    log = home.with_suffix(".log")
    started = start_node(shell, ray_start(options), log)
    node = Node(shell, started)
    try:
        yield node
    finally:
        node.kill()
