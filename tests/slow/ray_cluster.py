"""A Ray cluster of one node on this machine, as `ray start --head` makes it, with a token."""

import secrets
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .flow_command import Shell, processes_of, wait_until

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `shell` has its token."""

    address: str
    """Of its dashboard, which is its job server."""
    shell: Shell
    stranger: Shell
    """One with a wrong token."""


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Two CPUs, free ports, and a folder of its own, gone with the cluster."""
    # Ray's sockets are in it, whose paths may have 107 characters: pytest's folders are too deep.
    home = Path(tempfile.mkdtemp(prefix="ray-"))
    shell, stranger = _with_token(home / "token"), _with_token(home / "other")
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    head = shell.start(*_ray_start(home, port), log=home / "head.log")
    try:
        up = wait_until(lambda: _answers(address), timeout_s=START_TIMEOUT_S)
        assert up, (home / "head.log").read_text()
        yield Cluster(address, shell, stranger)
        head.terminate()
        head.wait(STOP_TIMEOUT_S)
        assert wait_until(lambda: not shell.processes(), timeout_s=STOP_TIMEOUT_S)
    finally:
        head.kill()
        head.wait()
        for process in processes_of(shell.mark):
            process.kill()
        shutil.rmtree(home, ignore_errors=True)


def _with_token(path: Path) -> Shell:
    path.write_text(secrets.token_hex(32))
    return Shell.new(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN_PATH=str(path),
        # A head has nowhere to drain to, and would wait for that.
        RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S="1",
    )


def _ray_start(home: Path, dashboard_port: int) -> list[str]:
    options = {
        "port": 0,
        "dashboard-port": dashboard_port,
        "dashboard-agent-listen-port": 0,
        "ray-client-server-port": _free_port(),
        "include-dashboard": "true",
        "temp-dir": home / "ray",
        "num-cpus": 2,
        "object-store-memory": 100_000_000,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return ["ray", "start", "--head", "--block", "--disable-usage-stats", *flags]


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=5).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        return error.code == 401  # it asks for the token
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
