"""Further nodes of a Ray cluster on this machine, which may die."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from .flow_command import Shell, wait_until
from .ray_cluster import START_TIMEOUT_S, Cluster, ray_start


@dataclass(frozen=True)
class Node:
    """One that has joined; `shell` knows its processes from the head's."""

    shell: Shell
    process: "subprocess.Popen[bytes]"

    def has_actors(self) -> bool:
        """Whether actors of the flow live here."""
        titles = [" ".join(process.cmdline()) for process in self._processes()]
        return any(title.startswith("ray::MapWorker(") for title in titles)

    def kill(self) -> None:
        """All of it at once: none of its processes sees another one die."""
        processes = self._processes()
        for send in (psutil.Process.suspend, psutil.Process.kill):
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    send(process)
        self.process.wait()

    def _processes(self) -> set[psutil.Process]:
        # Workers are found as children: their titles cover their environment, and so their mark.
        roots = self.shell.processes()
        return {*roots, *(child for root in roots for child in _children(root))}


@contextmanager
def joined_node(cluster: Cluster, num_cpus: int) -> Iterator[Node]:
    """One more node of a cluster, killed in the end if not before."""
    shell = cluster.shell.twin()
    home = cluster.home / shell.mark[:4]
    log = home.with_suffix(".log")
    options = {"address": cluster.join_address, "temp-dir": home, "num-cpus": num_cpus}
    node = Node(shell, shell.start(*ray_start(options), log=log))
    try:
        up = wait_until(lambda: "Ray runtime started" in log.read_text(), timeout_s=START_TIMEOUT_S)
        assert up, log.read_text()
        yield node
    finally:
        node.kill()


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []
