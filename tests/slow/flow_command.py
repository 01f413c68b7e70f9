"""The `pvtt-flow` command as people run it, in processes that can be found again."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil
import yaml

REPOSITORY = Path(__file__).parents[2]
SAMPLES = REPOSITORY / "pvtt_flow" / "samples"
BIN = Path(sys.executable).parent
# The name of a variable that a command and all that it starts inherit.
_MARK = "PVTT_FLOW_TEST"


@dataclass(frozen=True)
class Shell:
    """An environment for commands, and the way to find all that they have started."""

    mark: str
    env: Mapping[str, str]

    @classmethod
    def new(cls, **variables: str) -> "Shell":
        """Return this process's environment without Ray's variables, with the commands of its
        Python."""
        mark = uuid4().hex
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        ours = {_MARK: mark, "PATH": path, "RAY_AUTH_MODE": "disabled"}
        # Else Ray gives an actor as many as it has CPUs, and sums differ in their last digit.
        threads = {"OMP_NUM_THREADS": "1"}
        return cls(mark, env | ours | threads | variables)

    def twin(self) -> "Shell":
        """Return a shell with an equal environment, whose processes are found separately."""
        mark = uuid4().hex
        return Shell(mark, {**self.env, _MARK: mark})

    def run(self, *command: str, timeout_s: float = 600) -> "subprocess.CompletedProcess[str]":
        """Run to the end; output and log lines together."""
        return subprocess.run(
            command,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *command: str, log: Path) -> "subprocess.Popen[bytes]":
        """Run in the background, in a process group of its own."""
        with log.open("wb") as file:
            return subprocess.Popen(
                command, env=self.env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def processes(self) -> list[psutil.Process]:
        """Return the running processes that were started here."""
        return processes_of(self.mark)

    def workers(self) -> list[psutil.Process]:
        """Ray's workers among them, found as children: a worker's title covers its mark."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                found += process.children(recursive=True)
        return found

    def actors(self) -> list[psutil.Process]:
        """The workers that are actors of the flow."""
        return [worker for worker in self.workers() if _title(worker).startswith("ray::MapWorker(")]

    def clear(self, *, after_s: float = 20) -> None:
        """Kill what a killed command leaves, once it has had time to go by itself.

        Ray's agents learn late that they are orphans: ten seconds were seen, and more than sixty.
        """
        if not wait_until(lambda: not self.processes(), timeout_s=after_s):
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            assert wait_until(lambda: not self.processes(), timeout_s=20), self.processes()


def kill_if_alive(process: psutil.Process) -> bool:
    """Kill a process; return False if it has ended by itself since it was found."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def copies(folder: Path, count: int, *samples: str) -> Path:
    """The folder with so many videos, `00.mp4` and on: these samples in turn."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        shutil.copy(SAMPLES / samples[number % len(samples)], folder / f"{number:02d}.mp4")
    return folder


def write_config(path: Path, input_uri: str, output_uri: str) -> Path:
    """A run with the embedded models that takes every 12th frame, so that it takes seconds."""
    tree = {
        "input": {"uri": input_uri},
        "output": {"uri": output_uri},
        "sampling": {"stride": 12},
        "run": {"commit_interval_s": 0.2, "contact_sheet_videos": 2},
    }
    path.write_text(yaml.safe_dump(tree))
    return path


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def processes_of(mark: str) -> list[psutil.Process]:
    """Every live process with this mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            dead = process.status() == psutil.STATUS_ZOMBIE
            if not dead and process.environ().get(_MARK) == mark:
                found.append(process)
    return found


def wait_until(done: Callable[[], object], *, timeout_s: float) -> bool:
    """Return whether the condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            return False
        # Some conditions read tables, or the environments of all processes, and take CPU from them.
        time.sleep(0.3)
    return True
