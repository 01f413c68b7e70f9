"""A Ray cluster on this machine, as `ray start --head` makes it, with a token."""

import secrets
import shlex
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.free_port import free_port
from tests.slow.flow_command import Shell, wait_until

START_TIMEOUT_S = 300.0
NUM_START_ATTEMPTS = 3
STOP_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `shell` has its token."""

    address: str
    """Address of the dashboard, which is the job server."""
    join_address: str
    """For further nodes."""
    home: Path
    shell: Shell
    stranger: Shell
    """A shell with a wrong token."""


@contextmanager
def running_cluster(num_cpus: int = 2, **env: str) -> Iterator[Cluster]:
    """Start a cluster of one node on free ports, in a folder that is removed with it.

    `env` is added to the environment of its nodes and of what uses it.
    """
    # Ray's sockets are in it, whose paths may have 107 characters: pytest's folders are too deep.
    home = Path(tempfile.mkdtemp(prefix="ray-"))
    shell, stranger = _with_token(home / "token", env), _with_token(home / "other", env)
    join_port, port = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    command = _start_head(home, num_cpus, join_port, port)
    head = start_node(shell, command, home / "head.log", lambda: _answers(address))
    try:
        yield Cluster(address, f"127.0.0.1:{join_port}", home, shell, stranger)
        head.terminate()
        head.wait(STOP_TIMEOUT_S)
        assert wait_until(lambda: not shell.processes(), timeout_s=STOP_TIMEOUT_S)
    finally:
        head.kill()
        head.wait()
        _kill_all(shell)
        shutil.rmtree(home, ignore_errors=True)


def _with_token(path: Path, env: Mapping[str, str]) -> Shell:
    path.write_text(secrets.token_hex(32))
    return Shell.new(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN_PATH=str(path),
        # A head has nowhere to drain to, and would wait for that.
        RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S="1",
        **env,
    )


def _start_head(home: Path, num_cpus: int, join_port: int, dashboard_port: int) -> list[str]:
    options = {
        "port": join_port,
        "dashboard-port": dashboard_port,
        "ray-client-server-port": free_port(),
        "include-dashboard": "true",
        "temp-dir": home / "ray",
        "num-cpus": num_cpus,
    }
    return [*ray_start(options), "--head"]


def ray_start(options: Mapping[str, object]) -> list[str]:
    """The command for a node of any kind."""
    every = {
        **options,
        "dashboard-agent-listen-port": 0,
        "object-store-memory": 100_000_000,
        # Any free ports: by default all nodes, which share a machine here, give their workers the
        # same ones, and two of them may take one at once.
        "min-worker-port": 0,
        "max-worker-port": 0,
    }
    flags = [f"--{name}={value}" for name, value in every.items()]
    return ["ray", "start", "--block", "--disable-usage-stats", *flags]


def start_node(
    shell: Shell, command: list[str], log: Path, is_ready: Callable[[], bool] = lambda: True
) -> "subprocess.Popen[bytes]":
    """Start a node and wait until it has joined, and is ready.

    Ray gives a node 30 seconds to join and its agents 15 to start, which are no settings, and
    `ray start` ends where a busy machine takes longer: then it starts again.
    """

    def is_up() -> bool:
        # The dashboard answers earlier, and goes again if the node cannot join.
        return "Ray runtime started" in log.read_text() and is_ready()

    for _ in range(NUM_START_ATTEMPTS):
        process = shell.start(*command, log=log)
        wait_until(lambda: is_up() or not shell.processes(), timeout_s=START_TIMEOUT_S)
        if process.poll() is None and is_up():
            return process
        process.kill()
        process.wait()
        _kill_all(shell)
    raise AssertionError(f"{shlex.join(command)} has not started:\n{log.read_text()}")


def _kill_all(shell: Shell) -> None:
    for process in shell.processes():
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=5).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        return error.code == 401  # it asks for the token
    except OSError:
        return False
    return True
