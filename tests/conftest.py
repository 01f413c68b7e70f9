"""Fixtures for every test: a real S3 server that starts when asked for, and the shared data."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.free_port import free_port
from tests.once import made_once

if TYPE_CHECKING:
    import s3fs

    from tests.pipeline.runs import MixedRun

ACCESS_KEY = "pvtt-test-key"
SECRET_KEY = "pvtt-test-secret"  # noqa: S105
READER_KEY, READER_SECRET_KEY = "pvtt-reader-key", "pvtt-reader-secret"
START_TIMEOUT_S = 180.0
_WAIT_S = 0.1


def pytest_configure() -> None:
    """Set up hypothesis, and the environment that libraries read when they are imported."""
    # A busy machine is slow; that is no fault of the code.
    hypothesis.settings.register_profile("busy machine", deadline=None)
    hypothesis.settings.load_profile("busy machine")
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    # `datasets` would ask its hub about files that are here.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.pop("RAY_ADDRESS", None)
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Workers share the cores; threads that wait for each other there wait for long.
        os.environ["OMP_NUM_THREADS"] = "1"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs with SIGINT ignored, and commands that the tests stop with
        # it would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class S3Server:
    """A running SeaweedFS; the AWS_* variables of this process already point to it."""

    endpoint_url: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def bucket(self, kind: str = "bucket") -> str:
        """Make a new, empty bucket and return its uri, `s3://…` without a final slash.

        Everyone may read one of the kind "public".
        """
        name = f"{kind}-{os.getpid()}-{next(self._numbers)}"
        _s3fs().mkdir(name)
        return f"s3://{name}"

    def put(self, path: Path, uri: str) -> str:
        """Upload a local file and return `uri`."""
        _s3fs().put_file(str(path), uri)
        return uri

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Allow clients that connect inside to list and read, and nothing else."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", READER_KEY)
            patch.setenv("AWS_SECRET_ACCESS_KEY", READER_SECRET_KEY)
            _forget_clients()
            try:
                yield
            finally:
                _forget_clients()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS with one user, and one who may only read; other credentials are refused."""
    home = tmp_path_factory.mktemp("seaweedfs")
    port = _free_port()
    endpoint_url = f"http://127.0.0.1:{port}"
    with (home / "server.log").open("wb") as log:
        # A bucket is a collection, which is given seven volumes unless this says otherwise.
        env = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
        server = subprocess.Popen(
            _command(home, port), stdout=log, stderr=subprocess.STDOUT, env=env
        )
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        try:
            _wait_until_ready(server, home / "server.log")
            yield S3Server(endpoint_url)
        finally:
            # Nothing in it is worth the ten seconds of an orderly shutdown.
            server.kill()
            server.wait()


@pytest.fixture(autouse=True)
def an_equal_among_processes() -> Iterator[None]:
    """Fail the test after which this process, and what it starts, may keep others from running.

    Some encoders make a root user's thread a real-time one: `clip_maker.unchanged_priority`.
    """
    yield
    assert os.sched_getscheduler(0) == os.SCHED_OTHER, "a test left a real-time priority behind"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real videos and weights beside the repository; they are not part of it."""
    path = Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs the real test data, which is not part of the repository: no {path}")
    return path


@pytest.fixture(scope="session")
def mixed_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> "MixedRun":
    """Return a run, through Ray, of a folder of good and bad videos; for reading only."""
    from tests.pipeline.runs import run_mixed_folder

    return made_once(tmp_path_factory, worker_id, "mixed", run_mixed_folder)


def _command(home: Path, port: int) -> list[str]:
    """`weed server` bound to localhost, with as few listeners as it allows."""
    identities = [
        _identity("tester", ACCESS_KEY, SECRET_KEY, "Admin", "Read", "List", "Write", "Tagging"),
        _identity("reader", READER_KEY, READER_SECRET_KEY, "Read", "List"),
        {"name": "anonymous", "actions": ["Read:public*", "List:public*"]},
    ]
    config = home / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    options = {
        "dir": home,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": _free_port(),
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.port": _free_port(),
        "volume.max": 1000,
        "filer.port": _free_port(),
        "filer.localSocket": home / "filer.sock",
        "s3": "true",
        "s3.port": port,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": home / "s3.sock",
        "s3.config": config,
        "s3.autoCreateBucket": "false",
    }
    weed = Path(sys.executable).with_name("weed")
    return [str(weed), "server", *(f"-{name}={value}" for name, value in options.items())]


def _identity(name: str, key: str, secret: str, *actions: str) -> dict[str, object]:
    credentials = [{"accessKey": key, "secretKey": secret}]
    return {"name": name, "credentials": credentials, "actions": actions}


def _free_port() -> int:
    """A port that is free together with its gRPC twin, which SeaweedFS puts 10000 above it."""
    return free_port(twin=10_000)


def _wait_until_ready(server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a bucket can be made and written to: the port answers long before that."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            files = _s3fs()
            files.mkdir("ready")
            files.pipe_file("s3://ready/ready", b"ready")
        except Exception as error:  # noqa: BLE001  not ready in whatever way
            if server.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                pytest.fail(f"SeaweedFS did not start: {error!r}; the end of its log:\n{tail}")
            time.sleep(_WAIT_S)
        else:
            return


def _forget_clients() -> None:
    """fsspec keeps clients with the credentials that they were made with."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def _s3fs() -> "s3fs.S3FileSystem":
    import s3fs

    return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
