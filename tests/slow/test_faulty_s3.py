"""A bucket that answers badly, and one that does not answer."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pvtt_flow import open_dataset
from tests.faulty_s3 import FAULTS, FaultyS3
from tests.slow.flow_command import Shell, copies, wait_until, write_config

if TYPE_CHECKING:
    from tests.conftest import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# Enough requests that every fault is among them, and few videos where time is what matters.
MANY, FEW = 12, 6


@pytest.fixture
def proxy(s3: "S3Server") -> Iterator[FaultyS3]:
    """Every twentieth request goes wrong."""
    with FaultyS3(s3.endpoint_url, rate=0.05).running() as made:
        yield made


def bucket_of(s3: "S3Server", num_videos: int, folder: Path) -> str:
    """Make a bucket with videos under `in/`; their names give their order."""
    uri = s3.bucket()
    samples = ("one_product.mp4", "two_products.mp4", "two_products.mp4")
    for copy in copies(folder, num_videos, *samples).iterdir():
        s3.put(copy, f"{uri}/in/{copy.name}")
    return uri


def check_complete(uri: str, num_videos: int) -> None:
    """Every video is in the dataset once, with the masklets that its row tells."""
    dataset = open_dataset(uri)
    videos = dataset.videos().to_table().to_pylist()
    assert Counter(row["status"] for row in videos) == {"ok": num_videos}
    assert len({row["video_id"] for row in videos}) == num_videos
    masklets = dataset.masklets().to_table(columns=["masklet_id", "video_id"]).to_pylist()
    assert len({row["masklet_id"] for row in masklets}) == len(masklets)
    counted = Counter(row["video_id"] for row in masklets)
    assert counted == {row["video_id"]: row["num_masklets"] for row in videos}
    assert all(row["attempts"] == 0 for row in videos)


def test_no_row_is_lost_or_doubled(s3: "S3Server", proxy: FaultyS3, tmp_path: Path) -> None:
    bucket = bucket_of(s3, MANY, tmp_path / "videos")
    shell = Shell.new(AWS_ENDPOINT_URL=proxy.url)
    config = write_config(tmp_path / "config.yaml", f"{bucket}/in", f"{bucket}/out")
    ended = shell.run("pvtt-flow", "run", str(config), timeout_s=400)
    assert ended.returncode == 0, ended.stdout
    assert all(proxy.seen[fault] for fault in FAULTS), proxy.seen
    check_complete(f"{bucket}/out", MANY)
    again = shell.run("pvtt-flow", "plan", str(config), timeout_s=400)
    assert again.returncode == 0, again.stdout


def test_a_lost_server_is_named(s3: "S3Server", proxy: FaultyS3, tmp_path: Path) -> None:
    """Expect one clear error, no failed video, and a next run that processes the rest."""
    bucket = bucket_of(s3, FEW, tmp_path / "videos")
    proxy.rate = 0
    shell = Shell.new(AWS_ENDPOINT_URL=proxy.url)
    config = write_config(tmp_path / "config.yaml", f"{bucket}/in", f"{bucket}/out")
    slow = ("--set", "sampling.stride=2", "--set", "tracker.max_concurrent_shots=1")
    log = tmp_path / "run.log"
    process = shell.start("pvtt-flow", "run", str(config), *slow, log=log)
    assert wait_until(lambda: num_committed(f"{bucket}/out"), timeout_s=400), log.read_text()
    proxy.down = True
    assert process.wait(timeout=400) == 3, log.read_text()
    assert "does not answer" in log.read_text()
    assert "Traceback" not in log.read_text()

    down = shell.run("pvtt-flow", "run", str(config), *slow)
    assert down.returncode == 3, down.stdout
    assert down.stdout.count("error:") == 1
    assert "does not answer" in down.stdout

    proxy.down = False
    assert 0 < num_committed(f"{bucket}/out") < FEW
    rest = shell.run("pvtt-flow", "run", str(config), *slow)
    assert rest.returncode == 0, rest.stdout
    check_complete(f"{bucket}/out", FEW)


def num_committed(uri: str) -> int:
    """Videos in the dataset so far."""
    try:
        return int(open_dataset(uri).videos().count_rows())
    except Exception:  # noqa: BLE001  the tables are just being made
        return 0
